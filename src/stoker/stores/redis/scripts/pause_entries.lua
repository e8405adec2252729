-- keys: meta entries
-- uses: entry
local wish, changed = ARGV[2] == '1', 0
for i = 3, #ARGV do
  local e = entry_of_field(ARGV[i])
  if e and (e.paused == '-') == wish then
    if wish then
      e.paused = whole(now)
    else
      e.paused, e.last = '-', not_before(e.last)
    end
    save_entry(ARGV[i], e)
    changed = changed + 1
  end
end
return changed
