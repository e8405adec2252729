-- keys: meta paused ready jobs packs bodies args leases held left due counts slots
-- uses: lanes record packs ready moves choose
-- Takes the first jobs of each queue. A lane is a stretch of `ready`, so lanes that nobody asks for are leapt over.

local MOST_BYTES = 16 * 1024 * 1024

local function put(id, args, before, after)
  local n = #out
  out[n + 1], out[n + 2], out[n + 3], out[n + 4], out[n + 5] = '\n["', id, before, args, after
end

-- What all jobs of one record have in common in the answer: the text before the arguments, and behind them.
local function texts_of(r)
  local f = r.fixed
  local meta = f.meta
  if f.expires then
    -- Into the JSON object, which is a JSON string here.
    local rest = sub(meta, 3)
    meta = '"{\\"stoker/expires\\":' .. whole(f.expires) .. (sub(rest, 1, 1) == '}' and '' or ',') .. rest
  end
  local before = format('","%s",%s,%s,"', token, f.name, f.queue)
  local after = format(
    '",%s,%.0f,%d,%d,%d,%d,%.0f,%.0f,%s,%s,%s,%s,%s,%s],', f.priority, r.max_attempts, r.starts, r.failures, r.crashes,
    r.snoozes, r.enqueued, r.run, meta, f.keep, f.keep_failed, f.version, f.parent, f.root
  )
  return before, after
end

local function put_defect(id, r, why)
  local f = r.fixed
  put(id, 'null', format('","%s",%s,%s,"', token, f.name, f.queue),
    format('",%s,%.0f,%d,%d,%d,%d,%.0f,%.0f,"{}",null,null,1,null,null,"%s"],', f.priority, r.max_attempts, r.starts,
      r.failures, r.crashes, r.snoozes, r.enqueued, r.run, why))
end

local function args_of(id, r)
  if r.apart then return call('HGET', k_args, id) end
  return r.args
end

if held then
  each_noted(sub(held, (find(held, '\n', 1, true))), function(id)
    local r = load(id)
    if r and r.state == RUNNING and r.token == token then
      local args = args_of(id, r)
      if args then put(id, args, texts_of(r)) else put_defect(id, r, 'the arguments are missing') end
    end
  end)
  return answer()
end

-- Gives the values of the jobs that are stored by themselves, and the places of those in a pack.
local function look_at(values, first, last)
  local fields, at = {}, {}
  for i = first, last do
    local id = units[i]
    if type(id) == 'string' then
      local p, place = packed_in(id)
      if p then
        values[i] = {pack = p, place = place}
      else
        fields[#fields + 1], at[#at + 1] = id, i
      end
    end
  end
  for j, value in ipairs(fetch(k_jobs, fields, 1, #fields)) do values[at[j]] = value end
end

local args = {}

local function size_of(i, value)
  if type(units[i]) == 'table' then return #text_of(units[i]) end
  if not value then return 0 end
  if type(value) == 'table' then return #bodies_of(value.pack)[value.place] end
  if #value > SHORTEST and floor(string.byte(value, 6) / 8) % 2 == 1 then
    args[i] = call('HGET', k_args, units[i])
    return args[i] and #args[i] or 0
  end
  return #value
end

local function run(r)
  r.state, r.token, r.worker, r.started = RUNNING, token, worker, now
  r.starts, r.cancelling, r.begun = r.starts + 1, false, false
end

-- A job whose value cannot be read gets a new one, or nobody could ever end it.
local function rebuilt(lane)
  local queue, route, name = string.match(lane, '^([^%z]*)%z([^%z]*)%z([^%z]*)%z$')
  local static = table.concat({
    lane, '50000', cjson.encode(name), cjson.encode(queue), cjson.encode(route), '0', '"{}"', 'null', 'null', '1',
    'null', 'null', '[]', 'null', '3', '0', '',
  }, '\n')
  local r = fresh(AVAILABLE, static, 1, now)
  r.args = 'null'
  return r
end

local prepared, written, left = {}, {}, {}

local function prepare(value, header)
  local r = parse(value)
  if not r then return nil end
  run(r)
  local before, after = texts_of(r)
  local known = {
    was = header, header = pack(r), r = r, before = before, after = after, length = #header,
    apart = r.apart, keyed = r.fixed.key ~= '',
  }
  prepared[header] = known
  return known
end

local writes = 0
local function write(id, value)
  written[writes + 1], written[writes + 2] = id, value
  writes = writes + 2
end

-- A pack that is taken whole goes on as one; its rows share all but two digits and the arguments.
local function take_pack(p)
  local header = p.header
  local known = prepared[header] or prepare(header, header)
  p.header, p.dirty = known.header, true
  local starts = known.starts or {}
  known.starts = starts
  local ending, place, n = known.after .. '\n["' .. p.block, 0, #out
  out[n + 1], n = '\n["' .. p.block, n + 1
  for body in string.gmatch(text_of(p), '([^\n]*)\n') do
    local start = starts[place]
    if not start then
      start = string.char(48 + floor(place / 10), 48 + place % 10) .. known.before
      starts[place] = start
    end
    out[n + 1], out[n + 2], out[n + 3] = start, body, ending
    n, place = n + 3, place + 1
  end
  out[n] = known.after
  local first = tonumber(p.block .. '00')
  return whole(first) .. '-' .. whole(first + p.count - 1)
end

local function take_packed(id, p, place)
  local header = p.header
  local known, body = prepared[header] or prepare(header, header), bodies_of(p)[place]
  write(id, known.header .. body)
  drop(p, place)
  put(id, body, known.before, known.after)
end

local known = nil
local function take_loose(id, value, i)
  -- Most are like the one before; to see that costs less than to cut the header out.
  if not (known and value and find(value, known.was, 1, true) == 1) then
    local header = value and header_of(value)
    known = header and (prepared[header] or prepare(value, header))
  end
  if not known then
    local r = rebuilt(origin[i].lane)
    run(r)
    write(id, pack(r) .. r.args)
    put_defect(id, r, 'the stored row cannot be read')
    return
  end
  local body = sub(value, known.length + 1)
  write(id, known.header .. body)
  if known.apart then body = args[i] end
  if known.keyed then follow_key(id, known.r) end
  if body then put(id, body, known.before, known.after) else put_defect(id, known.r, 'the arguments are missing') end
end

local noted = {}

local function take(i, value)
  local unit, feed, jobs = units[i], origin[i], 1
  if type(unit) == 'table' then
    jobs, noted[i] = unit.count, take_pack(unit)
  else
    noted[i] = unit
    if type(value) == 'table' then take_packed(unit, value.pack, value.place) else take_loose(unit, value, i) end
  end
  if not left[feed] then
    left[feed] = 0
    left[#left + 1] = feed
  end
  left[feed] = left[feed] + jobs
  return jobs
end

-- A reply is bounded by the size of its arguments too; what does not fit stays where it is.
local size, taken, jobs, part = 0, 0, 0, 64
while taken < chosen and size < MOST_BYTES do
  local values, last = {}, math.min(taken + part, chosen)
  look_at(values, taken + 1, last)
  while taken < last and size < MOST_BYTES do
    taken = taken + 1
    size = size + size_of(taken, values[taken])
    jobs = jobs + take(taken, values[taken])
  end
  part = 1000
end

-- Takes the first jobs out of a lane: whole entries at one go, and a part of the last.
local function consume(feed, amount)
  local i, last = 1, nil
  while amount > 0 do
    local entry = feed.entries[i]
    if entry.count > amount then
      split_entry(entry, 0, amount)
      amount = 0
    else
      amount, last, i = amount - entry.count, entry.member, i + 1
    end
  end
  if last then call('ZREMRANGEBYLEX', k_ready, '[' .. feed.entries[1].member, '[' .. last) end
end

for _, feed in ipairs(left) do
  consume(feed, left[feed])
  tally(AVAILABLE, feed.lane, -left[feed])
  tally(RUNNING, feed.lane, left[feed])
end
in_parts(written, function(...) call('HSET', k_jobs, ...) end)
call('ZADD', k_leases, whole(now + lease), token)
call('HSET', k_held, token, '0' .. worker .. '\n' .. table.concat(noted, ' '))
call('HSET', k_left, token, jobs)
finish()
return answer()
