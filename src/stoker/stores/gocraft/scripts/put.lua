-- Puts jobs where they belong: due ones at the left end of their list, others into the schedule. What is written of a
-- job comes in two parts: the time stands between its id, of 24 characters, and the rest.
local function seconds(micros)
  return format('%.0f', floor(micros / 1000000))
end

-- Scores are whole seconds. Never early: up.
local function score(micros)
  return format('%.0f', math.ceil(micros / 1000000))
end

local function stamped(head, rest)
  return head .. sub(rest, 1, 24) .. '","t":' .. seconds(now) .. sub(rest, 25)
end

local function put(k_jobs, name, lane, at, payloads)
  call('SADD', k_known_jobs, name)
  if lane ~= '' then call('HSET', k_lanes, name, lane) end
  if at <= now then
    in_parts(payloads, function(...) call('LPUSH', k_jobs, ...) end)
  else
    local scored, due = {}, score(at)
    for i = 1, #payloads do
      scored[2 * i - 1] = due
      scored[2 * i] = payloads[i]
    end
    in_parts(scored, function(...) call('ZADD', k_scheduled, ...) end)
  end
end
