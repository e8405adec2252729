-- keys: scheduled retry
-- Gives the jobs whose time has come, first those to be tried again.
local limit, till = tonumber(ARGV[2]), format('%.0f', floor(now / 1000000))
local retries = call('ZRANGEBYSCORE', k_retry, '-inf', till, 'WITHSCORES', 'LIMIT', 0, limit)
local scheduled = call('ZRANGEBYSCORE', k_scheduled, '-inf', till, 'WITHSCORES', 'LIMIT', 0, limit - #retries / 2)
return {whole(now), retries, scheduled}
