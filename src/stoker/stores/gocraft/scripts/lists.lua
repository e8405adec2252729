-- keys:
-- uses: payload
-- Gives of each list how many jobs it has, and since when the longest waiting one is there.
local found = {}
for i = FIXED + 1, #KEYS do
  local last = call('LINDEX', KEYS[i], -1)
  found[#found + 1] = call('LLEN', KEYS[i])
  found[#found + 1] = last and whole(pushed_at(last) * 1000000) or '0'
end
return {whole(now), found}
