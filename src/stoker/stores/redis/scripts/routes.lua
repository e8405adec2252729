-- keys: counts
-- The routes of the jobs there are: what is counted is counted by lane.
local seen, out = {}, {}
for _, group in ipairs(call('HKEYS', k_counts)) do
  local route = string.match(group, '^[^%z]*%z([^%z]*)%z')
  if route and route ~= '' and not seen[route] then
    seen[route] = true
    out[#out + 1] = route
  end
end
return out
