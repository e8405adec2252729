-- keys: queues
-- Takes jobs from where they wait, each unless it is gone by now, and puts those with a queue into its list. Entries of
-- a list are looked for where they were, moved on by what came in since, and else from its left end; what is found is
-- only marked until the end, so that no place changes.
local GONE = '\0stoker:gone'
local kind, k_from, size, taken, marked = ARGV[2], KEYS[FIXED + 1], tonumber(ARGV[3]), {}, 0
local came = kind == 'list' and call('LLEN', k_from) - size or 0

local function place_of(at, member)
  for _, place in ipairs({at + came, at}) do
    if place >= 0 and call('LINDEX', k_from, place) == member then return place end
  end
  return call('LPOS', k_from, member)
end

local function removed(at, member)
  if kind == 'set' then return call('ZREM', k_from, member) == 1 end
  local place = place_of(at, member)
  if not place then return false end
  call('LSET', k_from, place, GONE)
  marked = marked + 1
  return true
end

for i = 4, #ARGV, 6 do
  local id, at, member, to, queue, payload = unpack(ARGV, i, i + 5)
  if removed(tonumber(at), member) then
    taken[#taken + 1] = id
    if to ~= '0' then
      call('SADD', k_queues, queue)
      call('LPUSH', KEYS[FIXED + to], payload)
    end
  end
end
if marked > 0 then call('LREM', k_from, marked, GONE) end
return taken
