-- keys: paused
-- uses: entrance
-- Tells whether a claim would take something: per list its four keys, and its queue and name.
for i = 2, #ARGV, 2 do
  local first = FIXED + 4 * (i / 2 - 1)
  if call('LLEN', KEYS[first + 1]) > 0 and not paused(first, ARGV[i], ARGV[i + 1])
    and room(KEYS[first + 3], KEYS[first + 4]) > 0 then
    return 1
  end
end
return 0
