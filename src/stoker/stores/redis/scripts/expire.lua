-- keys: meta args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots expiring gates waiting places unheard spent stirred ledger
-- uses: record packs ready moves
-- Cancels what was to start by now. What runs, ended or was tried before is forgotten here: it expires no more, but for
-- what is given back untried, which the next claim tells.
local limit, said = tonumber(ARGV[2]), ARGV[3]
local expired, more = {}, false
while #expired < limit do
  local ids = call('ZRANGEBYSCORE', k_expiring, '-inf', whole(now), 'LIMIT', 0, limit - #expired)
  if not ids[1] then break end
  for _, id in ipairs(ids) do
    call('ZREM', k_expiring, id)
    local r = load(id)
    if r and (r.state < RUNNING or r.state == RETRYABLE) and r.failures + r.crashes + r.snoozes == 0 then
      add_failure(id, r, format('[1,%.0f,%s]', now, said))
      to_final(id, r, CANCELLED, tonumber(r.fixed.keep_failed))
      expired[#expired + 1] = id
    end
  end
end
more = call('ZRANGEBYSCORE', k_expiring, '-inf', whole(now), 'LIMIT', 0, 1)[1] ~= nil
finish()
return {expired, more and 1 or 0}
