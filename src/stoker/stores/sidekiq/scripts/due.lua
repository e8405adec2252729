-- keys: schedule retry
-- Gives the jobs whose time has come, first those to be tried again.
local limit = tonumber(ARGV[2])
local retries = call('ZRANGEBYSCORE', k_retry, '-inf', score(now), 'WITHSCORES', 'LIMIT', 0, limit)
local scheduled = call('ZRANGEBYSCORE', k_schedule, '-inf', score(now), 'WITHSCORES', 'LIMIT', 0, limit - #retries / 2)
return {whole(now), retries, scheduled}
