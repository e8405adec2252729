-- What a filter asks of a record; the rest of it, which needs the arguments or texts to be read, is the client's.
local at = 2
local function values()
  local count, list = tonumber(ARGV[at]), {}
  for i = 1, count do list[i] = ARGV[at + i] end
  at = at + count + 1
  return list
end

local function as_set(list)
  local set = {}
  for _, value in ipairs(list) do set[value] = true end
  return list[1] and set
end

local ids_wanted = values()
local names, queues, states, batches_wanted = as_set(values()), as_set(values()), as_set(values()), as_set(values())
local bounds = values()
for i = 1, 6 do bounds[i] = tonumber(bounds[i]) end

local function between(instant, since, before)
  if not since and not before then return true end
  return instant ~= nil and instant >= 0 and (not since or instant >= since) and (not before or instant < before)
end

local function failed_at(id, r)
  local errors = r.erred and call('HGET', k_errors, id)
  return errors and tonumber(string.match(string.match(errors, '[^\n]*$'), '^%[%d+,(%d+),')) or nil
end

local function matches(id, r)
  if states and not states[tostring(r.state == WAITING and AVAILABLE or r.state)] then return false end
  if batches_wanted and not (r.fixed.batch and batches_wanted[r.fixed.batch]) then return false end
  if queues or names then
    local queue, _, name = string.match(r.fixed.lane, '^([^%z]*)%z([^%z]*)%z([^%z]*)%z$')
    if (queues and not queues[queue]) or (names and not names[name]) then return false end
  end
  return between(r.enqueued, bounds[1], bounds[2]) and between(r.finished, bounds[5], bounds[6])
    and ((not bounds[3] and not bounds[4]) or between(failed_at(id, r), bounds[3], bounds[4]))
end

local sign = 1

-- Visits the jobs in the order of their ids, or against it, from a bound on; stops when `visit` says so, or gives the
-- id at which it is to go on after so many.
local function each(bound, most, may, visit)
  local seen = 0

  -- What a filter and a verb ask is the same for all jobs of a pack.
  local function from_pack(id)
    local p = packed_in(id)
    if not p then return nil end
    if p.fits == nil then p.fits = matches(id, p.r) and may(id, p.r) end
    return p.fits and unpacked(id) or nil
  end

  local function look(ids)
    local found = fetch(k_jobs, ids, 1, #ids)
    for i = 1, #ids do
      local id, value, r = ids[i], found[i], nil
      seen = seen + 1
      if value then
        r = parse(value)
        if r and not (matches(id, r) and may(id, r)) then r = nil end
      else
        r = from_pack(id)
      end
      if r and visit(id, r) then return true end
    end
    return false
  end

  local function beyond(number) return not bound or (number - bound) * sign > 0 end
  if ids_wanted[1] then
    local ids = {}
    for _, id in ipairs(ids_wanted) do
      if beyond(tonumber(id)) then ids[#ids + 1] = id end
    end
    table.sort(ids, function(a, b) return (tonumber(a) - tonumber(b)) * sign < 0 end)
    look(ids)
    return nil
  end
  local blocks = {}
  for _, block in ipairs(call('HKEYS', k_blocks)) do
    block = tonumber(block) or 0
    if beyond(sign > 0 and block * 1000 + 999 or block * 1000) then blocks[#blocks + 1] = block end
  end
  table.sort(blocks, function(a, b) return (a - b) * sign < 0 end)
  for _, block in ipairs(blocks) do
    local from = sign > 0 and block * 1000 or block * 1000 + 999
    -- A part at a time, because a page is seldom larger.
    for part = from, from + 900 * sign, 100 * sign do
      if seen >= most then return whole(part - sign) end
      local ids = {}
      for number = part, part + 99 * sign, sign do
        if number >= 0 and beyond(number) then ids[#ids + 1] = whole(number) end
      end
      if ids[1] and look(ids) then return nil end
    end
  end
  return nil
end
