-- The server's clock; tests bring their own.
local call, format, floor, find, sub, match = redis.call, string.format, math.floor, string.find, string.sub, string.match
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

-- Scores are seconds, in text that gives the same number back.
local function score(micros)
  return format('%.17g', micros / 1000000)
end

local function in_parts(values, send)
  for first = 1, #values, MOST_VALUES do
    send(unpack(values, first, math.min(first + MOST_VALUES - 1, #values)))
  end
end
