-- keys: meta calls0 calls1 calls2 args state ready due counts blocks
-- uses: record receipts
-- Jobs without unique keys, in groups that differ in their arguments only.
local known = receipt(ARGV[2])
if known then return known end

local total, groups, at = tonumber(ARGV[3]), tonumber(ARGV[4]), 4
local first = call('HINCRBY', k_meta, 'numbers', total) - total + 1
write_receipt(ARGV[2], whole(first))

-- Gives the places of a group's jobs in the call; all follow the first where only that is named.
local function places_of(text, count)
  local places = {}
  for place in string.gmatch(text, '%d+') do places[#places + 1] = tonumber(place) end
  for i = #places + 1, count do places[i] = places[i - 1] + 1 end
  return places
end

local function write(args, states, members, key)
  in_parts(args, function(...) call('HSET', k_args, ...) end)
  in_parts(states, function(...) call('HSET', k_state, ...) end)
  in_parts(members, function(...) call('ZADD', key, ...) end)
end

for _ = 1, groups do
  local lane, order, static, max_attempts = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local run = tonumber(ARGV[at + 5]) or now + ARGV[at + 6]
  local count = tonumber(ARGV[at + 7])
  local places = places_of(ARGV[at + 8], count)
  at = at + 8
  local state = run <= now and AVAILABLE or SCHEDULED
  local record = pack(fresh(state, static, max_attempts, run))
  local args, states, members = {}, {}, {}
  local key, score, prefix = k_ready, 0, lane .. order
  if state == AVAILABLE then
    local waiting = call('ZRANGEBYLEX', k_ready, '[' .. lane, '(' .. lane .. ':', 'LIMIT', 0, 1)
    -- Whoever sleeps has found the lane empty.
    if not waiting[1] then ring(queue_of(lane)) end
  else
    key, score = k_due, whole(run)
    local earliest = call('ZRANGE', k_due, 0, 0, 'WITHSCORES')
    if not earliest[2] or run < tonumber(earliest[2]) then ring(queue_of(lane)) end
  end
  for i = 1, count do
    local id = format('%.0f', first + places[i])
    local j = 2 * i
    args[j - 1], args[j] = id, ARGV[at + i]
    states[j - 1], states[j] = id, record
    members[j - 1], members[j] = score, state == AVAILABLE and prefix .. sub('000000000000000', 1, 15 - #id) .. id .. ' ' .. id or id
  end
  at = at + count
  write(args, states, members, key)
  call('HINCRBY', k_counts, state .. lane, count)
end

local last = first + total - 1
for block = floor(first / 500), floor(last / 500) do
  call('HINCRBY', k_blocks, block, math.min(last, block * 500 + 499) - math.max(first, block * 500) + 1)
end
return whole(first)
