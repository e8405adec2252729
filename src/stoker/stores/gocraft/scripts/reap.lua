-- keys: worker_pools
-- Puts back what a dead pool performed, in one go and not more often than once, and forgets the pool.
local pool, till, k_pool, moved = ARGV[2], tonumber(ARGV[3]), KEYS[FIXED + 1], 0
local beat = tonumber(call('HGET', k_pool, 'heartbeat_at') or 0) or 0
if call('SISMEMBER', k_worker_pools, pool) == 0 or beat >= till then return 0 end
for key = FIXED + 2, #KEYS, 4 do
  local jobs, progress, lock, lock_info = KEYS[key], KEYS[key + 1], KEYS[key + 2], KEYS[key + 3]
  while call('RPOPLPUSH', progress, jobs) do moved = moved + 1 end
  local held = tonumber(call('HGET', lock_info, pool) or 0) or 0
  if held > 0 and call('DECRBY', lock, held) < 0 then call('SET', lock, 0) end
  call('HDEL', lock_info, pool)
end
call('DEL', k_pool)
call('SREM', k_worker_pools, pool)
return moved
