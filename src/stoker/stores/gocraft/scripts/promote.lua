-- keys: scheduled retry dead known_jobs
-- Moves jobs whose time has come into their lists, each unless somebody else was faster.
local moved, second = 0, format('%.0f', floor(now / 1000000))
for i = 2, #ARGV, 5 do
  local from, member, key, name, payload = unpack(ARGV, i, i + 4)
  local k_from = from == 'retry' and k_retry or k_scheduled
  local at = call('ZSCORE', k_from, member)
  if at and at * 1000000 <= now then
    call('ZREM', k_from, member)
    if name == '' then
      call('ZADD', k_dead, second, member)
    else
      call('SADD', k_known_jobs, name)
      call('LPUSH', KEYS[FIXED + key], payload)
    end
    moved = moved + 1
  end
end
local first
for _, key in ipairs({k_scheduled, k_retry}) do
  local found = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  local at = found[2] and found[2] * 1000000
  if at and (not first or at < first) then first = at end
end
return {moved, first and whole(first) or false}
