-- keys: meta jobs packs bodies ready due done counts leases held waiting
-- uses: record packs ready
-- Counts are kept up as jobs move. The oldest of a group is looked for at the heads of what holds its jobs, among so
-- many that a long queue costs no more than a short one.
local MOST_SEEN = 1000
local asked, whole_store = {}, #ARGV == 1
for i = 2, #ARGV do asked[ARGV[i]] = true end

local oldest = {}
local function note(r)
  local group = r.state .. r.fixed.lane
  if not oldest[group] or r.run < oldest[group] then oldest[group] = r.run end
end

local function look_at(ids)
  if not ids[1] then return end
  for i, value in ipairs(fetch(k_jobs, ids, 1, #ids)) do
    local r = parse(value) or (not value and unpacked(ids[i]))
    if r then note(r) end
  end
end

-- In a lane each priority is a line of its own, whose head has waited longest.
local function heads_of(lane)
  local ids, from = {}, '[' .. lane
  while true do
    local head = call('ZRANGEBYLEX', k_ready, from, '(' .. lane .. ':', 'LIMIT', 0, 1)[1]
    if not head then return ids end
    local entry = read_entry(head, #lane + 5)
    ids[#ids + 1] = entry.id or whole(entry.place)
    from = '(' .. sub(head, 1, #lane + 5) .. ':'
  end
end

-- Of each line the head.
local function waiting_in(lane)
  local ids, from = {}, '[' .. lane
  while #ids < 50 do
    local head = call('ZRANGEBYLEX', k_waiting, from, '(' .. sub(lane, 1, -2) .. '\1', 'LIMIT', 0, 1)[1]
    if not head then return ids end
    local last = find(head, '\1', #lane, true)
    ids[#ids + 1] = string.match(head, '%d+$')
    from = '(' .. sub(head, 1, last) .. '~'
  end
  return ids
end

look_at(call('ZRANGE', k_due, 0, MOST_SEEN))
for _, entry in ipairs(call('ZRANGE', k_done, 0, 20)) do
  local ids = {}
  for id in string.gmatch(entry, '%S+') do ids[#ids + 1] = id end
  look_at(ids)
end
for _, token in ipairs(call('ZRANGE', k_leases, 0, 20)) do
  local ids, held = {}, call('HGET', k_held, token)
  each_noted(sub(held, (find(held, '\n', 1, true))), function(id) ids[#ids + 1] = id end)
  look_at(ids)
end

local out, counts = {}, call('HGETALL', k_counts)
for i = 1, #counts, 2 do
  local lane = sub(counts[i], 2)
  if whole_store or asked[queue_of(lane)] then
    local state = sub(counts[i], 1, 1)
    if state == '2' then look_at(heads_of(lane)) end
    if state == '0' then look_at(waiting_in(lane)) end
    local n = #out
    out[n + 1], out[n + 2], out[n + 3] = counts[i], counts[i + 1], whole(oldest[counts[i]] or now)
  end
end
return out
