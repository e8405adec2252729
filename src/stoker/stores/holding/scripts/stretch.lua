-- keys:
-- Gives a stretch of a list, its oldest first, or of a sorted set, each with its score.
local key, kind, first, last = KEYS[FIXED + 1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if kind == 'set' then return {whole(now), call('ZRANGE', key, first, last, 'WITHSCORES')} end
local found, oldest_first = call('LRANGE', key, -1 - last, -1 - first), {}
for i = #found, 1, -1 do oldest_first[#oldest_first + 1] = found[i] end
return {whole(now), oldest_first}
