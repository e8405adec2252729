-- A periodic entry: a line of its numbers and the calls that registered and ticked it last, its rhythm, its specification.
local function entry_of_field(field)
  local value = call('HGET', k_entries, field)
  if not value then return nil end
  local e = {}
  e.version, e.declared, e.anchor, e.last, e.paused, e.registration, e.call, e.rhythm, e.spec =
    string.match(value, '^(%d+) (%d) (%d+) (%d+) (%S+) (%S+) (%S+)\n([^\n]*)\n(.*)$')
  return e.version and e or nil
end

local function save_entry(field, e)
  local line = table.concat({e.version, e.declared, e.anchor, e.last, e.paused, e.registration, e.call}, ' ')
  call('HSET', k_entries, field, line .. '\n' .. e.rhythm .. '\n' .. e.spec)
end

-- Gives all entries, each field and its value, and the time behind them.
local function every_entry()
  local all = call('HGETALL', k_entries)
  all[#all + 1] = whole(now)
  return all
end

local function not_before(instant)
  return tonumber(instant) < now and whole(now) or instant
end
