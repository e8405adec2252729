-- keys: meta args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots gates waiting places unheard spent stirred ledger
-- uses: record packs ready moves
-- Takes those of the jobs that still wait under a token that no time ends, and gives what it holds.
local token, worker, lease = ARGV[2], ARGV[3], tonumber(ARGV[4])
local ids, known = {}, call('HGET', k_held, token)
if known then
  each_noted(sub(known, (find(known, '\n', 1, true))), function(id)
    local r = load(id)
    if r and r.state == RUNNING and r.token == token then ids[#ids + 1] = id end
  end)
  return ids
end
for i = 5, #ARGV do
  local id = ARGV[i]
  local r = load(id)
  if r and (r.state < RUNNING or r.state == RETRYABLE) and not r.fixed.batch then
    leave(id, r)
    r.token, r.worker, r.started = token, worker, now
    r.starts, r.cancelling, r.begun = r.starts + 1, false, false
    enter(id, r, RUNNING)
    ids[#ids + 1] = id
  end
end
if ids[1] then
  call('ZADD', k_leases, whole(now + lease), token)
  call('HSET', k_held, token, '0' .. worker .. '\n' .. table.concat(ids, ' '))
  call('HSET', k_left, token, #ids)
end
finish()
return ids
