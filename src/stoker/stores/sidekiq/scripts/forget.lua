-- keys: processes
-- Takes processes off the list that have gone silent.
for i = 2, #ARGV do
  if call('HEXISTS', KEYS[FIXED + i - 1], 'info') == 0 then call('SREM', k_processes, ARGV[i]) end
end
return 0
