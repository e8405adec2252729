-- keys: paused scheduled retry
-- uses: payload entrance
-- Tells whether there is something to do, or being done, in a list, or a job for one is due. What waits for others of its
-- name to end (max_concurrency) is something to do, what is paused is not.
local count, names = tonumber(ARGV[2]), {}
for lane = 1, count do
  local first, queue, name = FIXED + 4 * (lane - 1), ARGV[3 * lane], ARGV[3 * lane + 1]
  if not paused(first, queue, name) then
    if call('LLEN', KEYS[first + 1]) > 0 then return 1 end
    names[ARGV[3 * lane + 2]] = true
  end
end
for i = FIXED + 4 * count + 1, #KEYS do
  if call('LLEN', KEYS[i]) > 0 then return 1 end
end
local MOST_LOOKED_AT, till = 10000, format('%.0f', floor(now / 1000000))
for _, key in ipairs({k_scheduled, k_retry}) do
  for _, payload in ipairs(call('ZRANGEBYSCORE', key, '-inf', till, 'LIMIT', 0, MOST_LOOKED_AT)) do
    if names[read(payload) or ''] then return 1 end
  end
end
return 0
