-- keys:
-- uses: payload
-- Counts a stretch of a sorted set by name; with the smallest time.
local found = call('ZRANGE', KEYS[FIXED + 1], ARGV[2], ARGV[3], 'WITHSCORES')
local counts, oldest, order = {}, {}, {}
for i = 1, #found, 2 do
  local name, at = read(found[i]) or '', found[i + 1] * 1000000
  if not counts[name] then
    counts[name], oldest[name] = 0, at
    order[#order + 1] = name
  end
  counts[name] = counts[name] + 1
  if at < oldest[name] then oldest[name] = at end
end
local answer = {}
for _, name in ipairs(order) do
  answer[#answer + 1] = name
  answer[#answer + 1] = counts[name]
  answer[#answer + 1] = whole(oldest[name])
end
return {#found / 2, answer}
