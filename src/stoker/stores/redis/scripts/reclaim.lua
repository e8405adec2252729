-- keys: meta args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots gates waiting places unheard spent stirred ledger
-- uses: record packs ready moves
-- Takes back the jobs of leases that ended, the longest ended first, or of the given ones.
local limit, tokens = tonumber(ARGV[2]), {}
if #ARGV > 2 then
  for i = 3, #ARGV do tokens[i - 2] = ARGV[i] end
else
  tokens = call('ZRANGEBYSCORE', k_leases, '-inf', '(' .. whole(now), 'LIMIT', 0, limit)
end
local available, cancelled, discarded = {}, {}, {}

local function crash(id, r, worker)
  local attempt = r.failures + r.crashes + 1
  r.crashes = r.crashes + 1
  local message = format('worker %s went silent (crash %d of %d)', worker, r.crashes, r.fixed.crash_limit)
  add_failure(id, r, format('[%d,%.0f,"LeaseExpired","%s","","%s"]', attempt, now, message, worker))
  if r.crashes >= r.fixed.crash_limit then
    discarded[#discarded + 1] = id
    to_final(id, r, DISCARDED, tonumber(r.fixed.keep_failed))
  else
    available[#available + 1] = id
    to_available(id, r, now)
  end
end

local function take_back(id, r, stopping, worker)
  r.revoked = true
  if r.cancelling then
    cancelled[#cancelled + 1] = id
    to_final(id, r, CANCELLED, tonumber(r.fixed.keep_failed))
  elseif stopping or (r.crashes > 0 and not r.begun) then
    -- Of jobs claimed together nobody knows which one ran, so a suspect counts only where it was marked as begun.
    available[#available + 1] = id
    to_available(id, r, now)
  else
    crash(id, r, worker)
  end
end

for _, token in ipairs(tokens) do
  local held = call('HGET', k_held, token)
  if held then
    local line = find(held, '\n', 1, true)
    local stopping, worker = sub(held, 1, 1) == '1', sub(held, 2, line - 1)
    each_noted(sub(held, line), function(id)
      local r = load(id)
      if r and r.state == RUNNING and r.token == token then take_back(id, r, stopping, worker) end
    end)
  end
end
finish()
-- Also the leases of which nothing was left to take back.
for _, token in ipairs(tokens) do
  call('ZREM', k_leases, token)
  call('HDEL', k_held, token)
  call('HDEL', k_left, token)
end
return {available, cancelled, discarded}
