-- keys: meta args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots windows calls0 calls1 calls2 workers gates waiting places unheard spent stirred buckets filled ledger batches
-- uses: record packs ready moves batch
-- Deletes what is kept no longer, and forgets what nobody can ask for any more.
local limit = tonumber(ARGV[2])
local pruned, more, seen, MOST_SEEN = {}, false, 0, limit + 5000
while not more do
  local found = call('ZRANGEBYSCORE', k_done, '-inf', whole(now), 'WITHSCORES', 'LIMIT', 0, 1)
  local entry = found[1]
  if not entry then break end
  local left = {}
  for id in string.gmatch(entry, '%S+') do
    seen = seen + 1
    local r = load(id)
    if r and has_expired(r) then
      if #pruned < limit then
        leave(id, r, true)
        erase(id, r)
        pruned[#pruned + 1] = id
      else
        left[#left + 1] = id
      end
    end
  end
  call('ZREM', k_done, entry)
  if left[1] then
    call('ZADD', k_done, found[2], table.concat(left, ' '))
    more = true
  end
  -- Entries of jobs that are gone already cost time too.
  more = more or seen > MOST_SEEN
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
-- A rate whose bucket is full again is as good as one that was never used.
for _, key in ipairs(call('ZRANGEBYSCORE', k_filled, '-inf', whole(now), 'LIMIT', 0, limit)) do
  call('HDEL', k_buckets, key)
  call('ZREM', k_filled, key)
end
local workers = call('HGETALL', k_workers)
for i = 1, #workers, 2 do
  if tonumber(string.match(workers[i + 1], '^%d+')) <= now then call('HDEL', k_workers, workers[i]) end
end
-- A batch goes two weeks after its end, with what its last jobs still told.
local MOST_BATCHES, BATCHES_KEPT_FOR, cursor = 200, 14 * 86400 * 1000000, call('HGET', k_meta, 'batches seen') or '0'
local page = call('HSCAN', k_batches, cursor, 'COUNT', MOST_BATCHES)
call('HSET', k_meta, 'batches seen', page[1])
for i = 1, #page[2], 2 do
  local batch = batch_of(page[2][i])
  if batch and batch.finished and batch.at < now - BATCHES_KEPT_FOR then
    call('HDEL', k_batches, page[2][i])
    call('HDEL', k_ledger, page[2][i])
  end
end
finish()
return {pruned, more and 1 or 0}
