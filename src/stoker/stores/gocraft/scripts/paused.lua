-- keys: paused
-- Gives what is paused: what was from here, and of gocraft's keys which there are.
local found = {}
for i = FIXED + 1, #KEYS do found[#found + 1] = call('EXISTS', KEYS[i]) end
return {whole(now), call('HGETALL', k_paused), found}
