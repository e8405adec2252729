-- keys: meta jobs packs bodies leases held cancels
-- uses: record packs
-- A heartbeat touches leases, and of jobs only the suspects that begin to run.
local lease, stopping, count = tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local missing, ours, cancel = {}, {}, {}
for i = 5, 4 + count do
  local token = ARGV[i]
  if call('ZSCORE', k_leases, token) then
    ours[token] = true
    call('ZADD', k_leases, whole(now + lease), token)
    if stopping then call('HSET', k_held, token, '1' .. sub(call('HGET', k_held, token), 2)) end
  else
    missing[#missing + 1] = token
  end
end
for i = 5 + count, #ARGV do
  local id = ARGV[i]
  local r = load(id)
  if r and r.state == RUNNING and ours[r.token] and not r.begun then
    r.begun = true
    save(id, r)
  end
end
write_packs()
local flagged = call('HGETALL', k_cancels)
for i = 1, #flagged, 2 do
  if ours[flagged[i + 1]] then cancel[#cancel + 1] = flagged[i] end
end
return {missing, cancel}
