-- keys:
-- Gives what claims hold, the claim's place before each, and no more than some.
local found, most = {}, tonumber(ARGV[2])
for claim = 1, #KEYS - FIXED do
  local held = call('HGETALL', KEYS[FIXED + claim])
  for i = 1, #held, 2 do
    if #found >= 3 * most then return found end
    if sub(held[i], 1, 1) ~= '\0' and sub(held[i + 1], 1, 1) ~= '\0' then
      found[#found + 1] = claim
      found[#found + 1] = held[i]
      found[#found + 1] = held[i + 1]
    end
  end
end
return found
