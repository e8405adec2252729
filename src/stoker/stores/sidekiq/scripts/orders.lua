-- keys:
-- Takes the signals that were left for a process, oldest first.
local found = {}
for place = 1, 10 do
  local signal = call('RPOP', KEYS[FIXED + 1])
  if not signal then break end
  found[place] = signal
end
return found
