-- keys: leases holders busy schedule retry
-- uses: payload
-- Takes jobs out of lists and sets, where they are still there, under a token that no time ends. Beside each stands when
-- it was due, and where it came from.
local token, worker, lease, k_held, k_ended = ARGV[2], ARGV[3], tonumber(ARGV[4]), KEYS[FIXED + 1], KEYS[FIXED + 2]
if call('EXISTS', k_held, k_ended) > 0 then return 0 end
local ids, values, lanes, taken = {}, {}, {}, 0
for i = 5, #ARGV, 4 do
  local from, queue, due, payload = unpack(ARGV, i, i + 3)
  local key = ({schedule = k_schedule, retry = k_retry})[from]
  local found
  if key then
    found = call('ZREM', key, payload)
  else
    found = call('LREM', KEYS[FIXED + tonumber(from)], -1, payload)
  end
  if found == 1 then
    local class, jid, route = read(payload)
    local id = jid and jid ~= '' and not ids[jid] and jid or redis.sha1hex(payload)
    while ids[id] do id = id .. '+' end
    ids[id] = true
    taken = taken + 1
    local lane = lane_of(queue, class, route)
    lanes[lane] = (lanes[lane] or 0) + 1
    local n = #values
    values[n + 1], values[n + 2] = id, taken .. ' ' .. lane .. '\n' .. payload
    values[n + 3], values[n + 4] = '\0due' .. id, (key and from or 'list') .. ' ' .. due
  end
end
if taken > 0 then
  in_parts(values, function(...) call('HSET', k_held, ...) end)
  call('HSET', k_held, '\0open', taken)
  call('ZADD', k_leases, whole(now + lease), token)
  call('HSET', k_holders, token, whole(now) .. ' ' .. worker)
  for lane, count in pairs(lanes) do call('HINCRBY', k_busy, lane, count) end
end
return taken
