-- keys: crashes
-- Forgets how often the workers of jobs have died.
for first = 2, #ARGV, MOST_VALUES do
  call('HDEL', k_crashes, unpack(ARGV, first, math.min(first + MOST_VALUES - 1, #ARGV)))
end
return 0
