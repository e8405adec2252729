-- keys: leases holders crashes scheduled retry worker_pools paused
-- uses: payload entrance
-- Takes jobs from the right ends of lists, each into the list of what its pool performs, as gocraft's own fetch does,
-- and notes them in the hash of the claim's token. Of several lists of a queue first the one whose job waits longest.
local lease, worker, pool, token, job_names = tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local k_held, k_ended, k_pool = KEYS[FIXED + 1], KEYS[FIXED + 2], KEYS[FIXED + 3]

local function earliest()
  local first
  for _, key in ipairs({k_scheduled, k_retry}) do
    local found = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local at = found[2] and found[2] * 1000000
    if at and (not first or at < first) then first = at end
  end
  return first and whole(first) or false
end

local function answer(claims)
  for _, claimed in ipairs(claims) do claimed[5] = call('HGET', k_crashes, claimed[1]) or '0' end
  return {claims, earliest(), whole(now)}
end

if call('EXISTS', k_ended) == 1 then return answer({}) end
if call('EXISTS', k_held) == 1 then
  local held, claims = call('HGETALL', k_held), {}
  for i = 1, #held, 2 do
    local place, queue, name, from = match(held[i + 1], '^(%d+) ([^\n]*)\n([^\n]*)\n[^\n]*\n()')
    if place and sub(held[i], 1, 1) ~= '\0' then
      claims[#claims + 1] = {held[i], queue, name, sub(held[i + 1], from), '', tonumber(place)}
    end
  end
  table.sort(claims, function(one, other) return one[6] < other[6] end)
  return answer(claims)
end

local claims, held, ids, i, key = {}, {}, {}, 7, FIXED + 3

local function head_of(lane)
  local payload = call('LINDEX', lane.jobs, -1)
  lane.since = payload and pushed_at(payload)
end

local function next_lane(queue)
  local lane = {name = ARGV[i + 1], known_as = ARGV[i + 2], taken = 0}
  lane.jobs, lane.progress, lane.lock, lane.lock_info = KEYS[key + 1], KEYS[key + 3], KEYS[key + 4], KEYS[key + 5]
  lane.room = 0
  if call('LLEN', lane.jobs) > 0 and not paused(key, queue, lane.name) then
    lane.room = room(lane.lock, KEYS[key + 6])
    head_of(lane)
  end
  i, key = i + 2, key + 6
  return lane
end

local function take(queue, lane)
  local payload = call('RPOPLPUSH', lane.jobs, lane.progress)
  lane.taken, lane.room = lane.taken + 1, lane.room - 1
  local _, id = read(payload)
  id = id and id ~= '' and not ids[id] and id or redis.sha1hex(payload)
  while ids[id] do id = id .. '+' end
  ids[id] = true
  claims[#claims + 1] = {id, queue, lane.name, payload}
  held[#held + 1] = id
  held[#held + 1] = #claims .. ' ' .. queue .. '\n' .. lane.name .. '\n' .. lane.known_as .. '\n' .. payload
  head_of(lane)
end

local function longest_waiting(lanes)
  local found
  for _, lane in ipairs(lanes) do
    if lane.since and lane.room > 0 and (not found or lane.since < found.since) then found = lane end
  end
  return found
end

while i <= #ARGV do
  local queue, wanted, count, lanes = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), {}
  i = i + 2
  for place = 1, count do lanes[place] = next_lane(queue) end
  i = i + 1
  while wanted > 0 do
    local lane = longest_waiting(lanes)
    if not lane then break end
    take(queue, lane)
    wanted = wanted - 1
  end
  for _, lane in ipairs(lanes) do
    if lane.taken > 0 then
      call('INCRBY', lane.lock, lane.taken)
      call('HINCRBY', lane.lock_info, pool, lane.taken)
    end
  end
end

if #claims > 0 then
  in_parts(held, function(...) call('HSET', k_held, ...) end)
  call('HSET', k_held, '\0open', #claims, '\0pool', pool)
  call('ZADD', k_leases, whole(now + lease), token)
  call('HSET', k_holders, token, whole(now) .. ' ' .. worker)
  -- Who reaps dead pools learns here where to look; a worker's own heartbeat says more.
  call('SADD', k_worker_pools, pool)
  if call('HSETNX', k_pool, 'job_names', job_names) == 1 then
    call('HSET', k_pool, 'heartbeat_at', format('%.0f', floor(now / 1000000)), 'stoker', '')
  end
end
return answer(claims)
