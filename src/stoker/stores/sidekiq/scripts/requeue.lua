-- keys: leases holders busy crashes processed failed processed_today failed_today queues
-- uses: closing ending
-- Takes jobs back from their claims, by force or where the lease is over; whoever held them has lost them.
local forced, taken = ARGV[2] == '1', {}
for i = 3, #ARGV, 4 do
  local claim, token, id, key = tonumber(ARGV[i]), ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local k_held, k_ended, till = KEYS[FIXED + claim], KEYS[FIXED + claim + 1], call('ZSCORE', k_leases, token)
  local value = till and (forced or tonumber(till) < now) and standing(k_held, k_ended, id, 'available')
  if value then
    local queue, from = match(value, '^%d+ ([^\n]*)\n[^\n]*\n[^\n]*\n()')
    call('SADD', k_queues, queue)
    call('LPUSH', KEYS[FIXED + key], sub(value, from))
    leave_lane(value)
    close(token, k_held, k_ended, {id}, 'available')
    taken[#taken + 1] = id
  end
end
count_ended(0, 0)
return taken
