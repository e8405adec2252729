-- What a claim holds is '<place> <queue>\n<name>\n<gocraft's name>\n<payload>'.
local function payload_of(value)
  return sub(value, match(value, '^%d+ [^\n]*\n[^\n]*\n[^\n]*\n()'))
end

local released = {}

-- Takes a job out of its pool's list; false where somebody else already has, as a Go pool that took ours for dead.
local function take_out(lane, payload)
  if call('LREM', lane.progress, -1, payload) == 0 then return false end
  released[lane] = (released[lane] or 0) + 1
  return true
end

local function release_locks()
  for lane, count in pairs(released) do
    -- What was held for another store took no lock.
    if lane.pool ~= 'moving' then
      if call('DECRBY', lane.lock, count) < 0 then call('SET', lane.lock, 0) end
      if call('HINCRBY', lane.lock_info, lane.pool, -count) <= 0 then call('HDEL', lane.lock_info, lane.pool) end
    end
  end
end

local function lane_at(key, pool)
  return {jobs = KEYS[key + 1], progress = KEYS[key + 2], lock = KEYS[key + 3], lock_info = KEYS[key + 4], pool = pool}
end
