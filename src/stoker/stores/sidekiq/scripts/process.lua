-- keys:
-- Gives what processes said of themselves.
local found = {}
for i = FIXED + 1, #KEYS do found[#found + 1] = call('HMGET', KEYS[i], 'info', 'busy', 'beat', 'quiet') end
return {whole(now), found}
