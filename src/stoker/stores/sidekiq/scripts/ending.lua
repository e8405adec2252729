-- What is counted when jobs have left the hash of a claim.
local ended_lanes = {}

local function leave_lane(value)
  local lane = match(value, '^%d+ ([^\n]*\n[^\n]*\n[^\n]*)\n')
  if lane then ended_lanes[lane] = (ended_lanes[lane] or 0) + 1 end
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

-- Six months, and fewer than 10,000 entries, as Sidekiq has it.
local function bury(payload)
  call('ZADD', k_dead, score(now), payload)
  call('ZREMRANGEBYSCORE', k_dead, '-inf', score(now - 180 * 86400 * 1000000))
  call('ZREMRANGEBYRANK', k_dead, 0, -10000)
end
