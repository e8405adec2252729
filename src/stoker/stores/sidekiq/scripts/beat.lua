-- keys: processes
-- Announces a process with its work, under both names that Sidekiq has had for that; no time to live takes it off.
local identity, ttl, fields = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local k_process, k_work, k_workers = KEYS[FIXED + 1], KEYS[FIXED + 2], KEYS[FIXED + 3]
call('DEL', k_work, k_workers)
if ttl == 0 then
  call('SREM', k_processes, identity)
  call('DEL', k_process)
  return 0
end
call('SADD', k_processes, identity)
call('HSET', k_process, unpack(ARGV, 5, 4 + fields))
call('PEXPIRE', k_process, ttl)
for i = 5 + fields, #ARGV, 2 do
  for _, key in ipairs({k_work, k_workers}) do call('HSET', key, ARGV[i], ARGV[i + 1]) end
end
if #ARGV > 4 + fields then
  for _, key in ipairs({k_work, k_workers}) do call('PEXPIRE', key, ttl) end
end
return 1
