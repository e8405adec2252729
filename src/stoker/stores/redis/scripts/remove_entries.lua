-- keys: meta entries
-- uses: entry
local removed = 0
for i = 2, #ARGV, 2 do
  local e = entry_of_field(ARGV[i])
  if e and e.registration == ARGV[i + 1] then
    removed = removed + call('HDEL', k_entries, ARGV[i])
  end
end
return removed
