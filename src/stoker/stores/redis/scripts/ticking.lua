-- Moves the entry on whose step stands at the end of the arguments, or ends the script.
local of_step = #ARGV - 5
do
  local field, e = ARGV[of_step], entry_of_field(ARGV[of_step])
  if not e then return 0 end
  if e.call == ARGV[of_step + 4] then return 1 end
  if e.version ~= ARGV[of_step + 1] or e.last ~= ARGV[of_step + 2] or e.paused ~= '-' then return 0 end
  e.last, e.call = ARGV[of_step + 3], ARGV[of_step + 4]
  save_entry(field, e)
  if ARGV[of_step + 5] == '0' then return 1 end
end
