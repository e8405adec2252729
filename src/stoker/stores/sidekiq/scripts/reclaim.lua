-- keys: leases holders busy crashes processed failed processed_today failed_today queues dead
-- uses: closing ending
-- Takes back what a claim held, if its lease is still over (or it is asked for by name); each job where it belongs.
local token, forced, k_held = ARGV[2], ARGV[3] == '1', KEYS[FIXED + 1]
local till = call('ZSCORE', k_leases, token)
if not till or not (forced or tonumber(till) < now) then return {} end
local taken, failed = {}, 0
for i = 4, #ARGV, 6 do
  local id, action, key, queue, crashes, payload = unpack(ARGV, i, i + 5)
  local value = call('HGET', k_held, id)
  if value and sub(value, 1, 1) ~= '\0' then
    if action == 'dead' then
      call('HDEL', k_crashes, id)
      bury(payload)
      failed = failed + 1
    elseif action == 'drop' then
      call('HDEL', k_crashes, id)
      failed = failed + 1
    else
      if crashes ~= '0' then call('HSET', k_crashes, id, crashes) end
      call('SADD', k_queues, queue)
      call('LPUSH', KEYS[FIXED + key], payload)
    end
    leave_lane(value)
    taken[#taken + 1] = id
  end
end
call('DEL', k_held)
call('ZREM', k_leases, token)
call('HDEL', k_holders, token)
count_ended(failed, failed)
return taken
