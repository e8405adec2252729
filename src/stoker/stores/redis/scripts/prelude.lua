-- The store's clock; tests bring their own.
local call, find, sub, format, floor = redis.call, string.find, string.sub, string.format, math.floor
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- unpack() stops at 8,000 values.
local MOST_VALUES = 4000

local function whole(number)
  return format('%.0f', number)
end

-- The same for one id after the other: numbers are costly to print, so only the hundreds are.
local hundreds, printed, ends = -1, '', {}

local function id_of(number)
  if number < 100 then return whole(number) end
  local rest = number % 100
  if number - rest ~= hundreds then
    hundreds = number - rest
    printed = whole(hundreds / 100)
  end
  local last = ends[rest]
  if not last then
    last = string.char(48 + floor(rest / 10), 48 + rest % 10)
    ends[rest] = last
  end
  return printed .. last
end

local function none_or(number)
  return number < 0 and 'null' or whole(number)
end

-- Calls a command for a long list of values, a part at a time.
local function in_parts(values, send)
  for first = 1, #values, MOST_VALUES do
    send(unpack(values, first, math.min(first + MOST_VALUES - 1, #values)))
  end
end

local function fetch(key, fields, first, last)
  local found, n = {}, 0
  for from = first, last, MOST_VALUES do
    local part = call('HMGET', key, unpack(fields, from, math.min(from + MOST_VALUES - 1, last)))
    for i = 1, #part do found[n + i] = part[i] end
    n = n + #part
  end
  return found
end

local function queue_of(lane)
  return sub(lane, 1, find(lane, '\0', 1, true) - 1)
end

local function ring(queue)
  call('PUBLISH', sub(k_meta, 1, -5) .. 'wake:' .. queue, queue)
end
