-- keys: meta overrides override_notes
local name, limit, found = ARGV[2], tonumber(ARGV[3]), {}
if not name then
  local names = call('HKEYS', k_overrides)
  table.sort(names)
  for i, each in ipairs(names) do found[i] = call('HGET', k_overrides, each) end
  return found
end
for _, note in ipairs(call('LRANGE', k_override_notes, 0, -1)) do
  if #found >= limit then break end
  if sub(note, 1, #name + 1) == name .. '\n' then found[#found + 1] = sub(note, #name + 2) end
end
return found
