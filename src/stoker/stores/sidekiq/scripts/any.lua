-- keys: busy schedule retry
-- uses: payload
-- Tells whether a job of these queues and names waits, is due or runs.
local named, routed, names, routes, queues = tonumber(ARGV[2]), tonumber(ARGV[3]), {}, {}, {}
for i = 4, 3 + named do names[ARGV[i]] = true end
for i = 4 + named, 3 + named + routed do routes[ARGV[i]] = true end
local first = 4 + named + routed
for i = first, #ARGV do queues[ARGV[i]] = true end
for _, lane in ipairs(call('HKEYS', k_busy)) do
  local queue, class, route = match(lane, '^([^\n]*)\n([^\n]*)\n(.*)$')
  if queues[queue] and names[class] and routes[route] then return 1 end
end
local MOST_LOOKED_AT, PART = 10000, 200
for i = first, #ARGV do
  for last = -1, -MOST_LOOKED_AT, -PART do
    local found = call('LRANGE', KEYS[FIXED + i - first + 1], last - PART + 1, last)
    for _, payload in ipairs(found) do
      local class, _, route = read(payload)
      if not class or (names[class] and routes[route]) then return 1 end
    end
    if #found < PART then break end
  end
end
for _, key in ipairs({k_schedule, k_retry}) do
  for _, payload in ipairs(call('ZRANGEBYSCORE', key, '-inf', score(now), 'LIMIT', 0, MOST_LOOKED_AT)) do
    local class, _, route, job = read(payload)
    if class and names[class] and routes[route] then
      job = job or cjson.decode(payload)
      if queues[job.queue] then return 1 end
    end
  end
end
return 0
