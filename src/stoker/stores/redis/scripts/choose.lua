-- Which jobs a claim takes: of each queue the first in the order of priority and place, over all its lanes.
-- A lane as it is read from its head on: entry after entry, in growing steps, and within an entry job after job.
-- With an order only the jobs of that priority.
local function feed_of(lane, limit, order)
  local head = lane .. (order or '')
  return {
    lane = lane, entries = {}, at = 0, used = 0, step = 4, limit = limit, from = '[' .. head, behind = '(' .. head .. ':',
  }
end

-- A feed for each priority that a lane has.
local function feeds_of(lane, limit)
  local feeds, from = {}, '[' .. lane
  while true do
    local head = call('ZRANGEBYLEX', k_ready, from, '(' .. lane .. ':', 'LIMIT', 0, 1)[1]
    if not head then return feeds end
    local order = sub(head, #lane + 1, #lane + 5)
    feeds[#feeds + 1] = feed_of(lane, limit, order)
    from = '(' .. lane .. order .. ':'
  end
end

-- Makes the feed's next job its `entry` and `place`; false when there is none.
local function advance(feed)
  local entry = feed.entry
  if entry and feed.used < entry.count then
    feed.place = entry.place + feed.used
  else
    if feed.at == #feed.entries then
      local more = call('ZRANGEBYLEX', k_ready, feed.from, feed.behind, 'LIMIT', 0, feed.step)
      local length = #feed.lane + 5
      for i = 1, #more do feed.entries[feed.at + i] = read_entry(more[i], length) end
      if not more[1] then return false end
      feed.from, feed.step = '(' .. more[#more], math.min(feed.step * 8, feed.limit)
    end
    feed.at = feed.at + 1
    entry = feed.entries[feed.at]
    feed.entry, feed.used, feed.place = entry, 0, entry.place
    feed.order = sub(entry.head, -5)
  end
  feed.used = feed.used + 1
  return true
end

-- What is taken, in its order: ids, and packs that are taken whole.
local units, origin, chosen, count = {}, {}, 0, 0

local function choose(unit, feed, jobs)
  chosen, count = chosen + 1, count + jobs
  units[chosen], origin[chosen] = unit, feed
end

local function first_of(feeds)
  local best = 1
  for i = 2, #feeds do
    local one, other = feeds[i], feeds[best]
    if one.order < other.order and not oldest then
      best = i
    elseif (oldest or one.order == other.order) and one.place < other.place then
      best = i
    end
  end
  return best
end

-- Takes the jobs of an entry from a place on, as many as are wanted.
local function choose_from(feed, place, last)
  while place <= last do
    local p = place % 100 == 0 and pack_of(sub(whole(place), 1, -3))
    if p and p.left == p.count and place + p.count - 1 <= last then
      choose(p, feed, p.count)
      place = place + p.count
    else
      choose(id_of(place), feed, 1)
      place = place + 1
    end
  end
end

-- Nobody else's jobs come between those of one lane.
local function choose_all(feed, most)
  while count < most do
    local entry = feed.entry
    if entry.id then
      choose(entry.id, feed, 1)
    else
      local last = math.min(entry.place + entry.count - 1, feed.place + most - count - 1)
      choose_from(feed, feed.place, last)
      feed.used = last - entry.place + 1
    end
    if not advance(feed) then return end
  end
end

for _, wish in ipairs(demand) do
  local queue, limit = wish[1], wish[2]
  local feeds, most = {}, count + limit
  for _, lane in ipairs(wish[3]) do
    for _, feed in ipairs(oldest and feeds_of(lane, limit) or {feed_of(lane, limit)}) do
      if advance(feed) then feeds[#feeds + 1] = feed end
    end
  end
  while count < most and #feeds > 1 do
    local best = first_of(feeds)
    local feed = feeds[best]
    choose(feed.entry.id or id_of(feed.place), feed, 1)
    if not advance(feed) then table.remove(feeds, best) end
  end
  if feeds[1] and count < most then choose_all(feeds[1], most) end
end
