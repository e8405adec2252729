-- keys: leases holders crashes dead
-- uses: closing lanes
-- Takes back what a claim held, if its lease is still over (or it is asked for by name); each job where it belongs.
local token, forced, pool, count, k_held = ARGV[2], ARGV[3] == '1', ARGV[4], tonumber(ARGV[5]), KEYS[FIXED + 1]
local till = call('ZSCORE', k_leases, token)
if not till or not (forced or tonumber(till) < now) then return {} end
local taken, lanes = {}, {}
for lane = 1, count do lanes[lane] = lane_at(FIXED + 1 + 4 * (lane - 1), pool) end
for i = 6, #ARGV, 5 do
  local id, action, number, crashes, payload = unpack(ARGV, i, i + 4)
  local value, lane = call('HGET', k_held, id), lanes[tonumber(number)]
  if value and lane then
    -- A Go pool that took ours for dead has put the job back already; the crash counts all the same.
    local ours = take_out(lane, payload_of(value))
    if action == 'back' then
      if crashes ~= '0' then call('HSET', k_crashes, id, crashes) end
      if ours then call('LPUSH', lane.jobs, payload) end
    else
      call('HDEL', k_crashes, id)
      if ours and action == 'dead' then call('ZADD', k_dead, format('%.0f', floor(now / 1000000)), payload) end
    end
    taken[#taken + 1] = id
  end
end
call('DEL', k_held)
call('ZREM', k_leases, token)
call('HDEL', k_holders, token)
release_locks()
return taken
