-- keys:
-- Gives the pools of claims, and what they hold of some jobs: of those that ended well no more than where they belong.
local claims, pools, found = tonumber(ARGV[2]), {}, {}
for claim = 1, claims do pools[claim] = call('HGET', KEYS[FIXED + claim], '\0pool') or '' end
for i = 3, #ARGV, 3 do
  local value = call('HGET', KEYS[FIXED + ARGV[i]], ARGV[i + 1])
  if value and ARGV[i + 2] == '1' then value = match(value, '^%d+ [^\n]*\n[^\n]*\n[^\n]*\n') or value end
  found[#found + 1] = value
end
return {whole(now), pools, found}
