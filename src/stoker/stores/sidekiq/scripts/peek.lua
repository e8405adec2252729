-- keys: crashes
-- Gives what claims hold of some jobs: the claim's place among the keys, then the id.
local found = {}
for i = 2, #ARGV, 2 do found[#found + 1] = call('HGET', KEYS[FIXED + ARGV[i]], ARGV[i + 1]) end
return {whole(now), found}
