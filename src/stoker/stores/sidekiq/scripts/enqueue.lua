-- keys: queues schedule routes
-- uses: put
-- Jobs in groups of one queue and time; the first key of the caller's is the receipt.
local stamps, groups = ARGV[2], tonumber(ARGV[3])
if not call('SET', KEYS[FIXED + 1], 1, 'NX', 'EX', 7200) then return 0 end
local i = 3
for group = 1, groups do
  local queue, at, count = ARGV[i + 1], tonumber(ARGV[i + 2]) or now + ARGV[i + 3], tonumber(ARGV[i + 4])
  i = i + 4
  local payloads = {}
  for place = 1, count do payloads[place] = stamped(ARGV[i + place], at, stamps) end
  i = i + count
  put(KEYS[FIXED + 1 + group], queue, at, payloads)
end
for route = i + 1, #ARGV do call('SADD', k_routes, ARGV[route]) end
return 1
