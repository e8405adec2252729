-- keys: meta paused ready args state leases held left due counts slots
-- uses: record moves
-- Takes the first jobs of each queue. A lane is a stretch of `ready`, so lanes that nobody asks for are leapt over.
local token, worker, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
local at = 7

local function read_set(count)
  local set = {}
  for i = at + 1, at + count do set[ARGV[i]] = true end
  at = at + count
  return set
end

local MOST_BYTES = 16 * 1024 * 1024
local out = {}

local function put(id, args, before, after)
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = '\n["', id, before, args, after
end

-- What all jobs of one record have in common in the answer: the text before the arguments, and behind them.
local function texts_of(r)
  local f = r.fixed
  local before = format('","%s",%s,%s,"', token, f.name, f.queue)
  local after = format(
    '",%s,%.0f,%d,%d,%d,%d,%.0f,%.0f,%s,%s,%s,%s,%s,%s],', f.priority, r.max_attempts, r.starts, r.failures, r.crashes,
    r.snoozes, r.enqueued, r.run, f.meta, f.keep, f.keep_failed, f.version, f.parent, f.root
  )
  return before, after
end

local function put_defect(id, r, why)
  local f = r.fixed
  put(id, 'null', format('","%s",%s,%s,"', token, f.name, f.queue),
    format('",%s,%.0f,%d,%d,%d,%d,%.0f,%.0f,"{}",null,null,1,null,null,"%s"],', f.priority, r.max_attempts, r.starts,
      r.failures, r.crashes, r.snoozes, r.enqueued, r.run, why))
end

local function answer()
  local due = call('ZRANGE', k_due, 0, 0, 'WITHSCORES')
  return {table.concat(out), due[2] or false, now}
end

local held = call('HGET', k_held, token)
if held then
  local ids = {}
  for id in string.gmatch(sub(held, (find(held, '\n', 1, true))), '%S+') do ids[#ids + 1] = id end
  local states, args = fetch(k_state, ids, 1, #ids), fetch(k_args, ids, 1, #ids)
  for i = 1, #ids do
    local r = parse(states[i])
    if r and r.state == RUNNING and r.token == token then
      if args[i] then put(ids[i], args[i], texts_of(r)) else put_defect(ids[i], r, 'the arguments are missing') end
    end
  end
  return answer()
end

local demand = {}
for _ = 1, tonumber(ARGV[5]) do
  demand[#demand + 1] = {ARGV[at + 1], tonumber(ARGV[at + 2])}
  at = at + 2
end
local names, routes = read_set(tonumber(ARGV[6])), read_set(tonumber(ARGV[7]))
local paused = {}
for _, value in ipairs(call('HKEYS', k_paused)) do paused[value] = true end

local function lanes_of(queue)
  local lanes, from, behind = {}, '[' .. queue .. '\0', '(' .. queue .. '\1'
  while true do
    local head = call('ZRANGEBYLEX', k_ready, from, behind, 'LIMIT', 0, 1)[1]
    if not head then return lanes end
    local a = #queue + 1
    local b = find(head, '\0', a + 1, true)
    local c = find(head, '\0', b + 1, true)
    local lane, name = sub(head, 1, c), sub(head, b + 1, c - 1)
    if names[name] and routes[sub(head, a + 1, b - 1)] and not paused['name\0' .. name] then
      lanes[#lanes + 1] = lane
    end
    from = '(' .. lane .. ':'
  end
end

local function stretch(lane, from, limit)
  return call('ZRANGEBYLEX', k_ready, from, '(' .. lane .. ':', 'LIMIT', 0, limit)
end

-- Gives the first members of several lanes in the order of priority and place, which follow the lane in each member.
local function merged(lanes, limit)
  local step = math.max(8, floor(2 * limit / #lanes))
  local feeds = {}
  for i, lane in ipairs(lanes) do
    local list = stretch(lane, '[' .. lane, step)
    feeds[i] = {lane = lane, list = list, i = 1, key = sub(list[1], #lane + 1)}
  end
  local members, origin = {}, {}
  while #members < limit and #feeds > 0 do
    local best = 1
    for i = 2, #feeds do
      if feeds[i].key < feeds[best].key then best = i end
    end
    local feed = feeds[best]
    members[#members + 1], origin[#origin + 1] = feed.list[feed.i], feed.lane
    feed.i = feed.i + 1
    if feed.i > #feed.list then
      feed.list, feed.i = stretch(feed.lane, '(' .. feed.list[feed.i - 1], step), 1
    end
    if feed.list[1] then
      feed.key = sub(feed.list[feed.i], #feed.lane + 1)
    else
      table.remove(feeds, best)
    end
  end
  return members, origin
end

local ids, members, origin, count = {}, {}, {}, 0
for _, wish in ipairs(demand) do
  local queue, limit = wish[1], wish[2]
  local lanes = limit > 0 and not paused['queue\0' .. queue] and lanes_of(queue) or {}
  if #lanes == 1 then
    local lane, skip = lanes[1], #lanes[1] + 22
    for i, one in ipairs(stretch(lane, '[' .. lane, limit)) do
      count = count + 1
      members[count], origin[count], ids[count] = one, lane, sub(one, skip)
    end
  elseif #lanes > 1 then
    local found, from = merged(lanes, limit)
    for i, one in ipairs(found) do
      count = count + 1
      members[count], origin[count], ids[count] = one, from[i], sub(one, #from[i] + 22)
    end
  end
end
if count == 0 then return answer() end

-- A reply is bounded by the size of its arguments too; what does not fit stays where it is.
local args, size, taken, part = {}, 0, 0, 64
while taken < count and size < MOST_BYTES do
  local found = call('HMGET', k_args, unpack(ids, taken + 1, math.min(taken + part, count)))
  for i = 1, #found do
    if size >= MOST_BYTES then break end
    taken = taken + 1
    args[taken] = found[i]
    size = size + (found[i] and #found[i] or 0)
  end
  part = 1000
end
local states = fetch(k_state, ids, 1, taken)

local stretches, order = {}, {}
for i = 1, taken do
  local lane = origin[i]
  local one = stretches[lane]
  if one then
    one.last, one.count = members[i], one.count + 1
  else
    stretches[lane] = {first = members[i], last = members[i], count = 1}
    order[#order + 1] = lane
  end
end
for _, lane in ipairs(order) do
  local one = stretches[lane]
  call('ZREMRANGEBYLEX', k_ready, '[' .. one.first, '[' .. one.last)
  tally(AVAILABLE, lane, -one.count)
  tally(RUNNING, lane, one.count)
end

local function run(r)
  r.state, r.token, r.worker, r.started = RUNNING, token, worker, now
  r.starts, r.cancelling, r.begun = r.starts + 1, false, false
end

-- A job whose record cannot be read gets a new one, or nobody could ever end it.
local function rebuilt(lane)
  local queue, route, name = string.match(lane, '^([^%z]*)%z([^%z]*)%z([^%z]*)%z$')
  local static = table.concat({
    lane, '50000', cjson.encode(name), cjson.encode(queue), cjson.encode(route), '0', '"{}"', 'null', 'null', '1',
    'null', 'null', '[]', 'null', '3', '0', '',
  }, '\n')
  return fresh(AVAILABLE, static, 1, now)
end

local prepared, written = {}, {}
for i = 1, taken do
  local id, record = ids[i], states[i]
  local known = record and prepared[record]
  if not known then
    local r = parse(record)
    if r then
      run(r)
      known = {record = pack(r), r = r}
      known.before, known.after = texts_of(r)
      prepared[record] = known
    else
      r = rebuilt(origin[i])
      run(r)
      known = {record = pack(r), r = r, defect = 'the stored row cannot be read'}
    end
  end
  written[2 * i - 1], written[2 * i] = id, known.record
  if known.r.fixed.key ~= '' then follow_key(id, known.r) end
  if args[i] and not known.defect then
    put(id, args[i], known.before, known.after)
  else
    put_defect(id, known.r, known.defect or 'the arguments are missing')
  end
end
in_parts(written, function(...) call('HSET', k_state, ...) end)

call('ZADD', k_leases, whole(now + lease), token)
call('HSET', k_held, token, '0' .. worker .. '\n' .. table.concat(ids, ' ', 1, taken))
call('HSET', k_left, token, taken)
finish()
return answer()
