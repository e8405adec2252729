-- keys: leases holders crashes scheduled retry dead known_jobs lanes
-- uses: closing put lanes
-- Ends attempts: where each job goes, and what follows from it.
local i, answers, done, lanes = 2, {}, {}, {}

local function next_word()
  i = i + 1
  return ARGV[i]
end

local function next_time()
  local at, delay = next_word(), next_word()
  return tonumber(at) or now + delay
end

local claims, key = tonumber(ARGV[2]), FIXED
key = key + 2 * claims
for lane = 1, tonumber(next_word()) do
  lanes[lane] = lane_at(key, next_word())
  key = key + 4
end

local function goes(action, lane, at, payload)
  if action == 'back' and at <= now then
    call('LPUSH', lane.jobs, payload)
  elseif action == 'back' or action == 'scheduled' then
    call('ZADD', k_scheduled, score(at), payload)
  elseif action == 'retry' then
    call('ZADD', k_retry, score(at), payload)
  elseif action == 'dead' then
    call('ZADD', k_dead, score(now), payload)
  end
end

for ending = 1, tonumber(next_word()) do
  local claim, token, id, state, action = tonumber(next_word()), next_word(), next_word(), next_word(), next_word()
  local lane, at, payload, follow = lanes[tonumber(next_word())], next_time(), next_word(), tonumber(next_word())
  local k_held, k_ended = KEYS[FIXED + 2 * claim - 1], KEYS[FIXED + 2 * claim]
  local value, why = standing(k_held, k_ended, id, state)
  if value and not (lane and take_out(lane, payload_of(value))) then
    close(token, k_held, k_ended, {id}, 'lost')
    value, why = nil, 'lost'
  elseif value then
    goes(action, lane, at, payload)
    if action == 'drop' or action == 'dead' then call('HDEL', k_crashes, id) end
    local group = token .. state
    done[group] = done[group] or {token, k_held, k_ended, {}, state}
    done[group][4][#done[group][4] + 1] = id
  end
  for job = 1, follow do
    local where, name, its_lane, its_at, head, rest =
      tonumber(next_word()), next_word(), next_word(), next_time(), next_word(), next_word()
    if value then put(KEYS[FIXED + where], name, its_lane, its_at, {stamped(head, rest)}) end
  end
  answers[ending] = value and 'accepted' or why
end
for _, group in pairs(done) do close(unpack(group)) end
release_locks()
return answers
