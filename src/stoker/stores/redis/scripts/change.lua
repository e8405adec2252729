-- keys: meta args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots gates waiting places unheard spent stirred ledger
-- uses: record packs ready moves filter
-- What operators ask of many jobs: changes up to `limit`, the oldest first, and tells whether there was one more.
local MOST_SEEN, MOST_CHANGED = 5000, 500
local verb, limit, bound = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
local forced = ARGV[at + 3] == '1'
local MAY, CHANGE = {}, {}

function MAY.cancel(_, r)
  return r.state < RUNNING or r.state == RETRYABLE or (r.state == RUNNING and not r.cancelling)
end

function CHANGE.cancel(id, r)
  if r.state == RUNNING then
    r.cancelling = true
    save(id, r)
    call('HSET', k_cancels, id, r.token)
  else
    to_final(id, r, CANCELLED, tonumber(r.fixed.keep_failed))
  end
end

function MAY.retry(id, r)
  if r.state == WAITING or r.state == AVAILABLE or r.state == RUNNING or r.state == COMPLETED then return false end
  local key = r.fixed.key
  if key == '' or not in_mask(r.fixed.mask, AVAILABLE) then return true end
  local slot = slot_of(key)
  return not slot or not slot.taken or slot.holder == id
end

function CHANGE.retry(id, r)
  r.max_attempts = math.max(r.max_attempts, r.failures + 1)
  r.crashes, r.finished, r.kept = 0, -1, -1
  call('HDEL', k_results, id)
  to_available(id, r, now)
end

function MAY.promote_now(_, r)
  return r.state == SCHEDULED or r.state == RETRYABLE
end

function CHANGE.promote_now(id, r)
  to_available(id, r, now)
end

function MAY.requeue(_, r)
  if r.state ~= RUNNING then return false end
  local till = call('ZSCORE', k_leases, r.token)
  return forced or not till or tonumber(till) < now
end

function CHANGE.requeue(id, r)
  r.revoked = true
  if r.cancelling then
    to_final(id, r, CANCELLED, tonumber(r.fixed.keep_failed))
  else
    to_available(id, r, now)
  end
end

function MAY.delete(_, r)
  return r.state ~= RUNNING
end

function CHANGE.delete(id, r)
  if r.state < COMPLETED then tell(id, r, CANCELLED) end
  leave(id, r, true)
  erase(id, r)
end

local changed, more, resume = {}, false, false
local onward = each(bound, MOST_SEEN, MAY[verb], function(id, r)
  if #changed >= limit then
    more = true
    return true
  end
  CHANGE[verb](id, r)
  changed[#changed + 1] = id
  if #changed == MOST_CHANGED then resume = id end
  return resume ~= false
end)
finish()
return {changed, more and 1 or 0, onward or resume}
