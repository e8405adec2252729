-- keys: leases holders busy crashes processed failed processed_today failed_today queues schedule retry dead routes
-- uses: closing ending put
-- The other endings, one by one: where the job goes, and what follows from it.
local stamps, claims = ARGV[2], tonumber(ARGV[3])
local i, answers, processed, failed = 3, {}, 0, 0

local function next_word()
  i = i + 1
  return ARGV[i]
end

local function next_time()
  local at, delay = next_word(), next_word()
  return tonumber(at) or now + delay
end

for ending = 1, tonumber(next_word()) do
  local claim, token, id, state, action = tonumber(next_word()), next_word(), next_word(), next_word(), next_word()
  local key, queue, at, payload = next_word(), next_word(), next_time(), next_word()
  local counts, follow = next_word(), tonumber(next_word())
  local k_held, k_ended = KEYS[FIXED + 2 * claim - 1], KEYS[FIXED + 2 * claim]
  local value, why = standing(k_held, k_ended, id, state)
  if value then
    if action == 'back' and at <= now then
      call('SADD', k_queues, queue)
      call('LPUSH', KEYS[FIXED + key], payload)
    elseif action == 'back' or action == 'schedule' then
      call('ZADD', k_schedule, score(at), payload)
    elseif action == 'retry' then
      call('ZADD', k_retry, score(at), payload)
    elseif action == 'dead' then
      bury(payload)
    end
    if action ~= 'back' and action ~= 'schedule' and action ~= 'retry' then call('HDEL', k_crashes, id) end
    if counts ~= 'none' then processed = processed + 1 end
    if counts == 'failure' then failed = failed + 1 end
    leave_lane(value)
    close(token, k_held, k_ended, {id}, state)
  end
  for job = 1, follow do
    local where, its_queue, route, its_at, its_payload = next_word(), next_word(), next_word(), next_time(), next_word()
    if value and route ~= '' then call('SADD', k_routes, route) end
    if value then put(KEYS[FIXED + where], its_queue, its_at, {stamped(its_payload, its_at, stamps)}) end
  end
  answers[ending] = value and 'accepted' or why
end
count_ended(processed, failed)
return answers
