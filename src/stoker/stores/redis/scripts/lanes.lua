-- Which lanes have jobs for a claim. Most claims of an idle worker find none and end here, before anything else is set up.
local token, worker, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
local at, out, demand = 7, {}, {}

local function read_set(count)
  local set = {}
  for i = at + 1, at + count do set[ARGV[i]] = true end
  at = at + count
  return set
end

local function answer()
  local due = call('ZRANGE', k_due, 0, 0, 'WITHSCORES')
  return {table.concat(out), due[2] or false, now}
end

for _ = 1, tonumber(ARGV[5]) do
  demand[#demand + 1] = {ARGV[at + 1], tonumber(ARGV[at + 2])}
  at = at + 2
end
local names, routes = read_set(tonumber(ARGV[6])), read_set(tonumber(ARGV[7]))
local oldest = ARGV[at + 1] ~= nil
local paused = {}
for _, value in ipairs(call('HKEYS', k_paused)) do paused[value] = true end

local function lanes_of(queue)
  local lanes, from, behind = {}, '[' .. queue .. '\0', '(' .. queue .. '\1'
  while true do
    local head = call('ZRANGEBYLEX', k_ready, from, behind, 'LIMIT', 0, 1)[1]
    if not head then return lanes end
    local a = #queue + 1
    local b = find(head, '\0', a + 1, true)
    local c = find(head, '\0', b + 1, true)
    local lane, name = sub(head, 1, c), sub(head, b + 1, c - 1)
    if names[name] and routes[sub(head, a + 1, b - 1)] and not paused['name\0' .. name] then
      lanes[#lanes + 1] = lane
    end
    from = '(' .. lane .. ':'
  end
end

local held, some = call('HGET', k_held, token), false
for _, wish in ipairs(demand) do
  wish[3] = wish[2] > 0 and not paused['queue\0' .. wish[1]] and lanes_of(wish[1]) or {}
  some = some or wish[3][1] ~= nil
end
if not held and not some then return answer() end
