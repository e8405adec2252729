-- keys: schedule retry dead queues
-- Moves jobs whose time has come into their lists, each unless somebody else was faster.
local moved = 0
for i = 2, #ARGV, 5 do
  local from, member, key, queue, payload = unpack(ARGV, i, i + 4)
  local k_from = from == 'retry' and k_retry or k_schedule
  local at = call('ZSCORE', k_from, member)
  if at and floor(at * 1000000 + 0.5) <= now then
    call('ZREM', k_from, member)
    if queue == '' then
      call('ZADD', k_dead, score(now), member)
    else
      call('SADD', k_queues, queue)
      call('LPUSH', KEYS[FIXED + key], payload)
    end
    moved = moved + 1
  end
end
local first
for _, key in ipairs({k_schedule, k_retry}) do
  local found = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  local at = found[2] and floor(found[2] * 1000000 + 0.5)
  if at and (not first or at < first) then first = at end
end
return {moved, first and whole(first) or false}
