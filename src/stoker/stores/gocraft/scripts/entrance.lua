-- Whether a list is paused, from here or from Go, or performs as many as it may: its keys begin after ``first``.
local function paused(first, queue, name)
  return call('EXISTS', KEYS[first + 2]) == 1 or call('HEXISTS', k_paused, 'queue\n' .. queue) == 1
    or call('HEXISTS', k_paused, 'name\n' .. name) == 1
end

local function room(lock, most)
  local limit = tonumber(call('GET', most) or 0) or 0
  return limit > 0 and limit - (tonumber(call('GET', lock) or 0) or 0) or math.huge
end
