-- keys: crashes
-- Tells how often the workers of jobs have died.
local found = {}
for i = 2, #ARGV do found[i - 1] = call('HGET', k_crashes, ARGV[i]) or '0' end
return found
