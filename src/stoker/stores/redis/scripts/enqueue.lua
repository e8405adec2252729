-- keys: meta calls0 calls1 calls2 jobs packs bodies args ready due counts blocks
-- uses: receipts record ready
-- Jobs without unique keys, in groups that differ in their arguments only.
local total, groups, at = tonumber(ARGV[3]), tonumber(ARGV[4]), 4
local first = call('HINCRBY', k_meta, 'numbers', total) - total + 1
if total >= 50 and first % 100 ~= 0 then
  -- Many jobs begin with a new hundred: then they can be packed.
  first = first + 100 - first % 100
  call('HSET', k_meta, 'numbers', whole(first + total - 1))
end
write_receipt(ARGV[2], whole(first))

-- Gives the places of a group's jobs in the call; all follow the first where only that is named.
local function places_of(text, count)
  local places = {}
  for place in string.gmatch(text, '%d+') do places[#places + 1] = tonumber(place) end
  for i = #places + 1, count do places[i] = places[i - 1] + 1 end
  return places
end

-- Sleeping workers have found their lanes empty, and planned their next look by the earliest due time.
local function announce(state, lane, run)
  if state == AVAILABLE then
    if not call('HGET', k_counts, AVAILABLE .. lane) then ring(queue_of(lane)) end
  else
    local earliest = call('ZRANGE', k_due, 0, 0, 'WITHSCORES')
    if not earliest[2] or run < tonumber(earliest[2]) then ring(queue_of(lane)) end
  end
end

local function put_ready(head, places, count)
  local from = 1
  for i = 1, count do
    if i == count or places[i + 1] ~= places[i] + 1 then
      call('ZADD', k_ready, 0, entry_of(head, first + places[from], i - from + 1))
      from = i + 1
    end
  end
end

local LEAST_PACKED = 10

-- Puts the jobs from the i-th on into a pack, as far as their ids go on and share their hundred; gives how many it took.
-- Only who has the first id of a hundred may, so no two can want the same pack.
local function put_pack(header, places, i, count)
  local number = first + places[i]
  if number % 100 ~= 0 then return 0 end
  local last, bodies = i, {}
  for j = i, math.min(i + 99, count) do
    if places[j] - places[i] ~= j - i or #ARGV[at + j] > MOST_INLINE then break end
    last = j
    bodies[j - i + 1] = ARGV[at + j]
  end
  local jobs = last - i + 1
  if jobs < LEAST_PACKED then return 0 end
  bodies[jobs + 1] = ''
  local block = sub(whole(number), 1, -3)
  call('HSET', k_bodies, block, table.concat(bodies, '\n'))
  call('HSET', k_packs, block, format('%03d%03d', jobs, jobs) .. string.rep('0', jobs) .. header)
  return jobs
end

for _ = 1, groups do
  local lane, order, static, max_attempts = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], tonumber(ARGV[at + 4])
  local run = tonumber(ARGV[at + 5]) or now + ARGV[at + 6]
  local count = tonumber(ARGV[at + 7])
  local places = places_of(ARGV[at + 8], count)
  at = at + 8
  local state = run <= now and AVAILABLE or SCHEDULED
  local r = fresh(state, static, max_attempts, run)
  local header = pack(r)
  r.apart = true
  local header_alone = pack(r)
  announce(state, lane, run)
  local jobs, apart, due, n = {}, {}, {}, 0
  local i = 1
  while i <= count do
    local packed = state == AVAILABLE and put_pack(header, places, i, count) or 0
    if packed == 0 then
      local id, args = id_of(first + places[i]), ARGV[at + i]
      jobs[n + 1] = id
      if #args > MOST_INLINE then
        jobs[n + 2] = header_alone
        apart[#apart + 1] = id
        apart[#apart + 1] = args
      else
        jobs[n + 2] = header .. args
      end
      due[n + 2] = id
      n, packed = n + 2, 1
    end
    i = i + packed
  end
  at = at + count
  in_parts(jobs, function(...) call('HSET', k_jobs, ...) end)
  in_parts(apart, function(...) call('HSET', k_args, ...) end)
  if state == AVAILABLE then
    put_ready(lane .. order, places, count)
  else
    local score = whole(run)
    for i = 1, n, 2 do due[i] = score end
    in_parts(due, function(...) call('ZADD', k_due, ...) end)
  end
  call('HINCRBY', k_counts, state .. lane, count)
end

local last = first + total - 1
for block = floor(first / 1000), floor(last / 1000) do
  local jobs = math.min(last, block * 1000 + 999) - math.max(first, block * 1000) + 1
  call('HINCRBY', k_blocks, block == 0 and '' or whole(block), jobs)
end
return whole(first)
