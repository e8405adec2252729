-- keys: meta jobs packs bodies ready due done leases held left cancels counts blocks slots args results errors notes gates waiting places unheard spent stirred
-- uses: record packs ready moves
local ids = call('ZRANGEBYSCORE', k_due, '-inf', whole(now), 'LIMIT', 0, tonumber(ARGV[2]))
local moved = 0
for _, id in ipairs(ids) do
  local r = load(id)
  if r then
    moved = moved + 1
    to_available(id, r, r.run)
  else
    call('ZREM', k_due, id)
  end
end
finish()
return {moved, call('ZRANGE', k_due, 0, 0, 'WITHSCORES')[2] or false}
