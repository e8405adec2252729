-- keys: meta workers
local id, ttl = ARGV[2], tonumber(ARGV[3])
if ttl == 0 then
  call('HDEL', k_workers, id)
else
  call('HSET', k_workers, id, whole(now + ttl) .. ' ' .. whole(now) .. ' ' .. ARGV[4])
end
return 1
