-- keys: dead processes process_cleanup
-- Shortens the dead set, and gives the processes to look at where nobody else does.
local gone = call('ZREMRANGEBYSCORE', k_dead, '-inf', score(now - 180 * 86400 * 1000000))
gone = gone + call('ZREMRANGEBYRANK', k_dead, 0, -10000)
local turn = call('SET', k_process_cleanup, 1, 'NX', 'EX', 60)
return {gone, turn and call('SMEMBERS', k_processes) or {}}
