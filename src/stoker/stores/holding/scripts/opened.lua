-- keys:
-- Gives how many jobs each claim still holds.
local open = {}
for i = 1, #KEYS - FIXED do open[i] = call('HGET', KEYS[FIXED + i], '\0open') or '0' end
return open
