-- keys: worker_pools
-- Announces a pool and what its workers do; the end of a pool takes both away.
local pool, lives, fields = ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
local k_pool = KEYS[FIXED + 1]
if not lives then
  call('SREM', k_worker_pools, pool)
  for i = FIXED + 1, #KEYS do call('DEL', KEYS[i]) end
  return 0
end
call('SADD', k_worker_pools, pool)
call('HSET', k_pool, unpack(ARGV, 5, 4 + fields))
local A_DAY, i = 86400, 5 + fields
for worker = FIXED + 2, #KEYS do
  call('DEL', KEYS[worker])
  if ARGV[i] then
    call('HSET', KEYS[worker], 'job_name', ARGV[i], 'job_id', ARGV[i + 1], 'started_at', ARGV[i + 2], 'args', ARGV[i + 3])
    call('EXPIRE', KEYS[worker], A_DAY)
    i = i + 4
  end
end
return 1
