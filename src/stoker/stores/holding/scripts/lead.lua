-- keys: leaders
local role, holder, ttl = ARGV[2], ARGV[3], tonumber(ARGV[4])
local stands = call('HGET', k_leaders, role)
if stands then
  local till, leader = match(stands, '^(%d+) (.*)$')
  if leader ~= holder and now < tonumber(till) then return 0 end
end
if ttl == 0 then
  call('HDEL', k_leaders, role)
  return 0
end
call('HSET', k_leaders, role, whole(now + ttl) .. ' ' .. holder)
return 1
