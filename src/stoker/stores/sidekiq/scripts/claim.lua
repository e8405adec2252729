-- keys: leases holders busy crashes schedule retry
-- uses: payload
-- Takes jobs from the right ends of lists into the hash of the claim's token, so that they are never nowhere.
local lease, worker, named, routed, pause = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local token, k_held, k_ended = ARGV[7], KEYS[FIXED + 1], KEYS[FIXED + 2]
local names, routes = {}, {}
for i = 8, 7 + named do names[ARGV[i]] = true end
for i = 8 + named, 7 + named + routed do routes[ARGV[i]] = true end

local function earliest()
  local first
  for _, key in ipairs({k_schedule, k_retry}) do
    local found = call('ZRANGE', key, 0, 0, 'WITHSCORES')
    local at = found[2] and floor(found[2] * 1000000 + 0.5)
    if at and (not first or at < first) then first = at end
  end
  return first and whole(first) or false
end

local function answer(claims)
  for _, claimed in ipairs(claims) do
    claimed[4] = call('HGET', k_crashes, claimed[1]) or '0'
  end
  return {claims, earliest(), whole(now)}
end

if call('EXISTS', k_ended) == 1 then return answer({}) end
if call('EXISTS', k_held) == 1 then
  local held, claims = call('HGETALL', k_held), {}
  for i = 1, #held, 2 do
    local place, queue, from = match(held[i + 1], '^(%d+) ([^\n]*)\n[^\n]*\n[^\n]*\n()')
    if place and sub(held[i], 1, 1) ~= '\0' then
      claims[#claims + 1] = {held[i], queue, sub(held[i + 1], from), '', tonumber(place)}
    end
  end
  table.sort(claims, function(one, other) return one[5] < other[5] end)
  return answer(claims)
end

local claims, held, ids, lanes = {}, {}, {}, {}

-- Somebody else's job: it comes back to its queue in a while, as it is.
local function put_aside(queue_key, payload)
  if call('ZADD', k_schedule, 'NX', score(now + pause), payload) == 0 then call('LPUSH', queue_key, payload) end
end

local function take(queue, queue_key, payload)
  local class, jid, route = read(payload)
  if class and not (names[class] and routes[route]) then
    put_aside(queue_key, payload)
    return 0
  end
  local id = jid and jid ~= '' and not ids[jid] and jid or redis.sha1hex(payload)
  while ids[id] do id = id .. '+' end
  ids[id] = true
  local lane = lane_of(queue, class, route)
  lanes[lane] = (lanes[lane] or 0) + 1
  claims[#claims + 1] = {id, queue, payload}
  held[#held + 1] = id
  held[#held + 1] = #claims .. ' ' .. lane .. '\n' .. payload
  return 1
end

local MOST_LOOKED_AT = 2000
for i = 8 + named + routed, #ARGV, 2 do
  local queue, wanted, queue_key = ARGV[i], tonumber(ARGV[i + 1]), KEYS[FIXED + 2 + (i - 6 - named - routed) / 2]
  local looked = 0
  while wanted > 0 and looked < MOST_LOOKED_AT do
    local found = call('RPOP', queue_key, wanted)
    if not found or #found == 0 then break end
    looked = looked + #found
    for _, payload in ipairs(found) do wanted = wanted - take(queue, queue_key, payload) end
  end
end

if #claims > 0 then
  in_parts(held, function(...) call('HSET', k_held, ...) end)
  call('HSET', k_held, '\0open', #claims)
  call('ZADD', k_leases, whole(now + lease), token)
  call('HSET', k_holders, token, whole(now) .. ' ' .. worker)
  for lane, count in pairs(lanes) do call('HINCRBY', k_busy, lane, count) end
end
return answer(claims)
