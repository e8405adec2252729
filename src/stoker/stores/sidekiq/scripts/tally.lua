-- keys:
-- uses: payload
-- Counts a stretch of a list or a sorted set by queue and class; with the smallest time.
local key, kind, first, last = KEYS[FIXED + 1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local found = kind == 'list' and call('LRANGE', key, first, last) or call('ZRANGE', key, first, last, 'WITHSCORES')
local counts, oldest, order = {}, {}, {}
local step = kind == 'list' and 1 or 2
for i = 1, #found, step do
  local class, _, route, job = read(found[i])
  local queue, at = ARGV[5], now
  if kind == 'list' then
    local pushed = match(found[i], '"enqueued_at":([%d.]+)}?$')
    if not pushed and job and type(job.enqueued_at) == 'number' then pushed = job.enqueued_at end
    pushed = tonumber(pushed)
    if pushed then at = pushed > 100000000000 and pushed * 1000 or pushed * 1000000 end
  else
    if not job then
      local ok, decoded = pcall(cjson.decode, found[i])
      job = ok and decoded or nil
    end
    queue = job and type(job.queue) == 'string' and job.queue or 'default'
    at = found[i + 1] * 1000000
  end
  local lane = lane_of(queue, class, route)
  if not counts[lane] then
    counts[lane], oldest[lane] = 0, at
    order[#order + 1] = lane
  end
  counts[lane] = counts[lane] + 1
  if at < oldest[lane] then oldest[lane] = at end
end
local answer = {}
for _, lane in ipairs(order) do
  answer[#answer + 1] = lane
  answer[#answer + 1] = counts[lane]
  answer[#answer + 1] = whole(oldest[lane])
end
return {#found / step, answer}
