-- keys: leases holders scheduled retry
-- Takes jobs out of lists and sets, where they are still there, under a token that no time ends. Beside each stands when
-- it was due, and where it came from. Nobody waits for what has gone: the key of a unique job is free in the same step,
-- and where it holds a job, that has the newest arguments and leaves instead. Who goes on with a hold frees no key: by
-- then it may be another's.
local token, worker, lease, pool, k_held, k_ended =
  ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], KEYS[FIXED + 1], KEYS[FIXED + 2]
if call('EXISTS', k_held, k_ended) > 0 then return 0 end

local function newest(key, payload)
  local value = call('GET', key)
  if value then call('DEL', key) end
  return value and sub(value, 1, 1) == '{' and value or payload
end

local ids, values, taken = {}, {}, 0
for i = 6, #ARGV, 9 do
  local id, queue, name, known_as, place, source, due, unique, payload = unpack(ARGV, i, i + 8)
  local key, progress = KEYS[FIXED + 3 + 2 * place], KEYS[FIXED + 4 + 2 * place]
  local set = ({scheduled = k_scheduled, retry = k_retry})[source]
  local found
  if set then found = call('ZREM', set, payload) else found = call('LREM', key, -1, payload) end
  if found == 1 then
    id = id ~= '' and not ids[id] and id or redis.sha1hex(payload)
    while ids[id] do id = id .. '+' end
    ids[id] = true
    taken = taken + 1
    if unique ~= '0' then payload = newest(KEYS[FIXED + unique], payload) end
    call('LPUSH', progress, payload)
    local n = #values
    values[n + 1], values[n + 2] = id, taken .. ' ' .. queue .. '\n' .. name .. '\n' .. known_as .. '\n' .. payload
    values[n + 3], values[n + 4] = '\0due' .. id, source .. ' ' .. due
  end
end
if taken > 0 then
  in_parts(values, function(...) call('HSET', k_held, ...) end)
  call('HSET', k_held, '\0open', taken, '\0pool', pool)
  call('ZADD', k_leases, whole(now + lease), token)
  call('HSET', k_holders, token, whole(now) .. ' ' .. worker)
end
return taken
