-- keys: meta jobs packs bodies ready due done leases held left cancels counts blocks slots args results errors paused gates waiting places unheard spent stirred parked lines buckets filled alarms rules
-- uses: record packs ready moves
-- Lets waiting jobs in. Jobs of one lane and set of gates form a line, of which only the head is looked at; a line whose
-- head is held up is parked at the gate that does it until that is stirred (see `stoker.stores.admission`).
local most, MOST_STIRRED, SHORTEST_LOOK = tonumber(ARGV[2]), 1000, 100000

for _, key in ipairs(call('ZRANGEBYSCORE', k_alarms, '-inf', whole(now))) do
  call('ZREM', k_alarms, key)
  call('SADD', k_stirred, key)
end
local texts = call('SPOP', k_stirred, MOST_STIRRED)

local function answer(admitted, more)
  local alarm = call('ZRANGE', k_alarms, 0, 0, 'WITHSCORES')
  return {admitted, more and 1 or 0, alarm[2] or false, whole(now)}
end

local lines, known = {}, {}

local function look_into(line)
  if not known[line] then
    known[line] = true
    lines[#lines + 1] = {text = line}
  end
end

for _, text in ipairs(texts) do
  if find(text, '\0', 1, true) then
    look_into(text)
  else
    for _, member in ipairs(call('ZRANGEBYLEX', k_lines, '[' .. text .. '\1', '(' .. text .. '\2')) do
      look_into(sub(member, #text + 2))
    end
  end
end

local rules = {}

local function rule_of(key)
  local name = sub(key, 1, (find(key, '=', 1, true) or 0) - 1)
  local rule = rules[name]
  if rule == nil then
    local running, starts, per = string.match(call('HGET', k_rules, name) or '', '^(%S+) (%S+) (%d+)$')
    rule = {running = tonumber(running), starts = tonumber(starts), per = tonumber(per)}
    rules[name] = rule
  end
  return rule
end

local function places_of(key)
  return '[' .. key .. '\1', '(' .. key .. '\2'
end

local rooms = {}

local function room_of(key, started)
  local room = rooms[key]
  if room then return room end
  local rule = rule_of(key)
  room = {starts = rule.starts, per = rule.per}
  if rule.running then room.free = rule.running - call('ZLEXCOUNT', k_places, places_of(key)) end
  if rule.starts then
    local level, at = string.match(call('HGET', k_buckets, key) or '', '^(%d+) (%d+)$')
    local allowed = (rule.starts - call('ZLEXCOUNT', k_unheard, places_of(key)) - (started or 0)) * rule.per
    local filled = rule.starts * rule.per
    if level then filled = level + math.min(math.max(now - at, 0), rule.per) * rule.starts end
    room.capped = allowed < rule.per
    room.level = math.max(0, math.min(allowed, filled))
  end
  rooms[key] = room
  return room
end

-- The starts that no call has heard of yet: of jobs that run by now, and of those that have left.
local function hear_of_starts()
  local members, ids = call('ZRANGE', k_unheard, 0, -1), {}
  for i, member in ipairs(members) do ids[i] = string.match(member, '%d+$') end
  if ids[1] then
    for i, value in ipairs(fetch(k_jobs, ids, 1, #ids)) do
      if not value or string.byte(value, 5) ~= AVAILABLE then
        call('ZREM', k_unheard, members[i])
        call('HINCRBY', k_spent, sub(members[i], 1, -2 - #ids[i]), 1)
      end
    end
  end
  local spent = call('HGETALL', k_spent)
  for i = 1, #spent, 2 do room_of(spent[i], tonumber(spent[i + 1])).used = true end
  call('UNLINK', k_spent)
end
hear_of_starts()

local function paused_at(lane)
  local queue, _, name = string.match(lane, '^([^%z]*)%z([^%z]*)%z([^%z]*)%z')
  if call('HEXISTS', k_paused, 'queue\0' .. queue) == 1 then return 'paused queue ' .. queue end
  if call('HEXISTS', k_paused, 'name\0' .. name) == 1 then return 'paused name ' .. name end
  return nil
end

-- Of each line one job more than its gates can ever let in, so that a line that is used up is parked at once.
local candidates = {}
for _, line in ipairs(lines) do
  local gates = string.match(line.text, '^[^%z]*%z[^%z]*%z[^%z]*%z(.*)\1$')
  line.gates, line.size = {}, most
  each_gate(gates, function(key, keeps)
    local rule = rule_of(key)
    line.gates[#line.gates + 1] = {key = key, keeps = keeps}
    line.size = math.min(line.size, rule.running or line.size, rule.starts or line.size)
  end)
  line.paused = paused_at(line.text)
  local length = #line.text
  local found = call('ZRANGEBYLEX', k_waiting, '[' .. line.text, '(' .. line.text .. '~', 'LIMIT', 0, line.size + 1)
  for _, member in ipairs(found) do
    candidates[#candidates + 1] = {
      order = sub(member, length + 1, length + 21), line = line, member = member, id = sub(member, length + 23),
    }
  end
end
table.sort(candidates, function(a, b) return a.order < b.order end)

local function keeps_place(gate, candidate)
  return gate.keeps and call('ZSCORE', k_places, gate.key .. '\1' .. candidate.id)
end

local function obstacle_of(candidate)
  if candidate.line.paused then return candidate.line.paused end
  for _, gate in ipairs(candidate.line.gates) do
    local room = room_of(gate.key)
    local short = room.level and room.level < room.per
    if (room.free and room.free < 1 and not keeps_place(gate, candidate)) or short then
      if short then
        local wait = math.ceil((room.per - room.level) / room.starts)
        if room.capped then wait = math.max(wait, SHORTEST_LOOK) end
        call('ZADD', k_alarms, whole(now + wait), gate.key)
      end
      return gate.key
    end
  end
  return nil
end

local function leave_parking(line)
  local key = call('HGET', k_parked, line)
  if key then
    call('ZREM', k_lines, key .. '\1' .. line)
    call('HDEL', k_parked, line)
  end
end

local function park(line, key)
  leave_parking(line)
  call('HSET', k_parked, line, key)
  call('ZADD', k_lines, 0, key .. '\1' .. line)
end

local function let_in(candidate)
  for _, gate in ipairs(candidate.line.gates) do
    local room = room_of(gate.key)
    room.used = true
    if room.level then room.level = room.level - room.per end
    if room.free and not keeps_place(gate, candidate) then room.free = room.free - 1 end
    call('ZADD', k_places, 0, gate.key .. '\1' .. candidate.id)
    if room.level then call('ZADD', k_unheard, 0, gate.key .. '\1' .. candidate.id) end
  end
  call('ZREM', k_waiting, candidate.member)
  local r = load(candidate.id)
  if not r then return end
  tally(WAITING, r.fixed.lane, -1)
  tally(AVAILABLE, r.fixed.lane, 1)
  r.state, r.pos = AVAILABLE, call('HINCRBY', k_meta, 'numbers', 1)
  call('ZADD', k_ready, 0, single_of(candidate.id, r))
  save(candidate.id, r)
  rung[queue_of(r.fixed.lane)] = true
end

local admitted = 0
for _, candidate in ipairs(candidates) do
  local line = candidate.line
  if not line.blocked then
    if admitted >= most then break end
    local obstacle = obstacle_of(candidate)
    if obstacle then
      line.blocked = true
      park(line.text, obstacle)
    else
      let_in(candidate)
      admitted = admitted + 1
    end
  end
end

local more = #texts >= MOST_STIRRED
for _, line in ipairs(lines) do
  if not line.blocked then
    if call('ZRANGEBYLEX', k_waiting, '[' .. line.text, '(' .. line.text .. '~', 'LIMIT', 0, 1)[1] then
      call('SADD', k_stirred, line.text)
      more = true
    else
      leave_parking(line.text)
    end
  end
end
for key, room in pairs(rooms) do
  if room.used and room.level then
    call('HSET', k_buckets, key, whole(room.level) .. ' ' .. whole(now))
    call('ZADD', k_filled, whole(now + room.per), key)
  end
end
finish()
return answer(admitted, more)
