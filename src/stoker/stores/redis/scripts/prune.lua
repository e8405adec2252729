-- keys: meta args state ready due done leases held left cancels results errors counts blocks slots windows calls0 calls1 calls2 workers
-- uses: record moves
-- Deletes what is kept no longer, and forgets what nobody can ask for any more.
local limit = tonumber(ARGV[2])
local ids = call('ZRANGEBYSCORE', k_done, '-inf', whole(now), 'LIMIT', 0, limit + 1)
local more = #ids > limit
if more then ids[#ids] = nil end
for _, id in ipairs(ids) do
  local r = parse(call('HGET', k_state, id))
  if r then
    leave(id, r)
    erase(id, r)
  else
    call('ZREM', k_done, id)
  end
end
for _, key in ipairs(call('ZRANGEBYSCORE', k_windows, '-inf', whole(now), 'LIMIT', 0, limit)) do
  local slot = slot_of(key)
  if slot and not slot.taken then call('HDEL', k_slots, key) end
  call('ZREM', k_windows, key)
end
for _, bucket in ipairs({k_calls0, k_calls1, k_calls2}) do
  local turn = call('HGET', bucket, '')
  if turn and tonumber(turn) < floor(now / 1800000000) - 2 then call('UNLINK', bucket) end
end
local workers = call('HGETALL', k_workers)
for i = 1, #workers, 2 do
  if tonumber(string.match(workers[i + 1], '^%d+')) <= now then call('HDEL', k_workers, workers[i]) end
end
finish()
return {ids, more and 1 or 0}
