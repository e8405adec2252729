-- keys: known_jobs lanes scheduled
-- uses: put
-- Jobs in groups of one list and time; the first key of the caller's is the receipt.
local i = 2
if not call('SET', KEYS[FIXED + 1], 1, 'NX', 'EX', 7200) then return 0 end
for group = 1, tonumber(ARGV[2]) do
  local name, lane, at, count, head =
    ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3]) or now + ARGV[i + 4], tonumber(ARGV[i + 5]), ARGV[i + 6]
  i = i + 6
  local payloads = {}
  for place = 1, count do payloads[place] = stamped(head, ARGV[i + place]) end
  i = i + count
  put(KEYS[FIXED + 1 + group], name, lane, at, payloads)
end
return 1
