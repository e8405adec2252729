-- Available jobs stand in one sorted set, by lane, priority (high first) and place. A new job's place is its id, and
-- those that were enqueued together are one entry: `LANE ORDER PLACE+COUNT`. One that comes back has an entry of its
-- own: `LANE ORDER PLACE ID`.
local function entry_of(head, place, count)
  return head .. format('%015.0f', place) .. '+' .. count
end

local function single_of(id, r)
  return r.fixed.lane .. r.fixed.order .. format('%015.0f', r.pos) .. ' ' .. id
end

-- Takes an entry apart, whose lane and order are `length` bytes long.
local function read_entry(member, length)
  local place = tonumber(sub(member, length + 1, length + 15))
  if sub(member, length + 16, length + 16) == '+' then
    return {member = member, head = sub(member, 1, length), place = place, count = tonumber(sub(member, length + 17))}
  end
  return {member = member, head = sub(member, 1, length), place = place, count = 1, id = sub(member, length + 17)}
end

-- Takes `taken` jobs out of an entry, `before` jobs behind its first.
local function split_entry(entry, before, taken)
  local head, behind = entry.head, entry.count - before - taken
  call('ZREM', k_ready, entry.member)
  if before > 0 then call('ZADD', k_ready, 0, entry_of(head, entry.place, before)) end
  if behind > 0 then call('ZADD', k_ready, 0, entry_of(head, entry.place + before + taken, behind)) end
end

local function leave_ready(id, r)
  local head, place = r.fixed.lane .. r.fixed.order, r.pos == 0 and tonumber(id) or r.pos
  local found = call('ZREVRANGEBYLEX', k_ready, '[' .. head .. format('%015.0f', place) .. '~', '[' .. head, 'LIMIT', 0, 1)
  local entry = found[1] and read_entry(found[1], #head)
  if entry and place < entry.place + entry.count then split_entry(entry, place - entry.place, 1) end
end
