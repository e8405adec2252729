-- keys: leases
-- Keeps leases; marks them as of a worker that stops in order, and suspects as started.
local lease, stopping, count, missing = tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4]), {}
for claim = 1, count do
  local token, k_held = ARGV[4 + claim], KEYS[FIXED + claim]
  if call('ZSCORE', k_leases, token) then
    call('ZADD', k_leases, whole(now + lease), token)
    if stopping then call('HSET', k_held, '\0stopping', 1) end
    for i = 5 + count, #ARGV do
      if call('HEXISTS', k_held, ARGV[i]) == 1 then call('HSET', k_held, '\0' .. ARGV[i], 1) end
    end
  else
    missing[#missing + 1] = token
  end
end
return missing
