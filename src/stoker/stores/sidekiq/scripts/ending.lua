-- How jobs leave the hash of a claim. Of what is over the state stays there until all of the claim is; then one key
-- remembers it for a while, so that an ending sent again is known: a word where all of them were completed.
local REMEMBERED = 600
local ended_lanes = {}

local function standing(k_held, k_ended, id, state)
  local value = call('HGET', k_held, id)
  if value and sub(value, 1, 1) ~= '\0' then return value end
  local mark = value
  if not mark then
    local kind = call('TYPE', k_ended).ok
    if kind == 'string' then mark = '\0' .. call('GET', k_ended) end
    if kind == 'hash' then mark = call('HGET', k_ended, id) end
  end
  if mark then return nil, mark == '\0' .. state and 'repeated' or 'lost' end
  return nil, call('EXISTS', k_held) == 1 and 'gone' or 'lost'
end

local function leave_lane(value)
  local lane = match(value, '^%d+ ([^\n]*\n[^\n]*\n[^\n]*)\n')
  if lane then ended_lanes[lane] = (ended_lanes[lane] or 0) + 1 end
end

local function close(token, k_held, k_ended, ids, state)
  local open = call('HINCRBY', k_held, '\0open', -#ids)
  local alike = open == 0 and state == 'completed' and call('HEXISTS', k_held, '\0mixed') == 0
  if not alike then
    local marks = {}
    for i = 1, #ids do
      marks[2 * i - 1] = ids[i]
      marks[2 * i] = '\0' .. state
    end
    in_parts(marks, function(...) call('HSET', k_held, ...) end)
    if state ~= 'completed' then call('HSET', k_held, '\0mixed', 1) end
  end
  if open > 0 then return end
  if alike then
    call('DEL', k_held)
    call('SET', k_ended, state, 'EX', REMEMBERED)
  else
    call('RENAME', k_held, k_ended)
    call('EXPIRE', k_ended, REMEMBERED)
  end
  call('ZREM', k_leases, token)
  call('HDEL', k_holders, token)
end

local function count_ended(processed, failed)
  for lane, count in pairs(ended_lanes) do
    if call('HINCRBY', k_busy, lane, -count) <= 0 then call('HDEL', k_busy, lane) end
  end
  local FIVE_YEARS = 5 * 365 * 86400
  for _, said in ipairs({{processed, k_processed, k_processed_today}, {failed, k_failed, k_failed_today}}) do
    if said[1] > 0 then
      call('INCRBY', said[2], said[1])
      if call('INCRBY', said[3], said[1]) == said[1] then call('EXPIRE', said[3], FIVE_YEARS) end
    end
  end
end

-- Six months and 10,000 entries, as Sidekiq has it.
local function bury(payload)
  call('ZADD', k_dead, score(now), payload)
  call('ZREMRANGEBYSCORE', k_dead, '-inf', score(now - 180 * 86400 * 1000000))
  call('ZREMRANGEBYRANK', k_dead, 0, -10001)
end
