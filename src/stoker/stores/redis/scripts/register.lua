-- keys: meta entries
-- uses: entry
for i = 4, #ARGV, 3 do
  local field, rhythm, spec = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local e = entry_of_field(field)
  if not e then
    e = {version = '1', anchor = whole(now), last = whole(now), paused = '-', call = '-', rhythm = rhythm, spec = spec}
  end
  if e.rhythm ~= rhythm then e.last = not_before(e.last) end
  if e.spec ~= spec then e.version = whole(e.version + 1) end
  e.rhythm, e.spec, e.declared, e.registration = rhythm, spec, ARGV[3], ARGV[2]
  save_entry(field, e)
end
return every_entry()
