-- keys: meta paused jobs packs bodies due counts
-- uses: record packs
-- Whether somebody who serves these queues, names and routes could perform something. A paused job cannot be performed;
-- one that runs is paused by nothing.
local at = 4
local function read_set(count)
  local set = {}
  for i = at + 1, at + count do set[ARGV[i]] = true end
  at = at + count
  return set
end
local queues, names, routes = read_set(tonumber(ARGV[2])), read_set(tonumber(ARGV[3])), read_set(tonumber(ARGV[4]))
local paused = {}
for _, field in ipairs(call('HKEYS', k_paused)) do paused[field] = true end

local function fits(lane, unpaused)
  local queue, route, name = string.match(lane, '^([^%z]*)%z([^%z]*)%z([^%z]*)%z$')
  if not (queues[queue] and names[name] and routes[route]) then return false end
  return not unpaused or not (paused['queue\0' .. queue] or paused['name\0' .. name])
end

for _, group in ipairs(call('HKEYS', k_counts)) do
  local state = tonumber(sub(group, 1, 1))
  if (state == WAITING or state == AVAILABLE or state == RUNNING) and fits(sub(group, 2), state ~= RUNNING) then return 1 end
end
local seen, STEP = 0, 500
while true do
  local ids = call('ZRANGEBYSCORE', k_due, '-inf', whole(now), 'LIMIT', seen, STEP)
  if not ids[1] then return 0 end
  for _, record in ipairs(fetch(k_jobs, ids, 1, #ids)) do
    local r = parse(record)
    if r and fits(r.fixed.lane, true) then return 1 end
  end
  seen = seen + #ids
end
