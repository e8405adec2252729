-- keys:
-- Gives a stretch of a list from its left end, or of a sorted set from its highest score, with the scores; and its size.
local key, kind, first, last = KEYS[FIXED + 1], ARGV[2], ARGV[3], ARGV[4]
if kind == 'list' then return {whole(now), call('LLEN', key), call('LRANGE', key, first, last)} end
return {whole(now), call('ZCARD', key), call('ZREVRANGE', key, first, last, 'WITHSCORES')}
