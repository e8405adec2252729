-- keys: queues crashes
-- Takes jobs from where they wait, each unless it is gone by now, and puts those with a queue into its list.
local taken = {}
for i = 2, #ARGV, 7 do
  local id, kind, from, member, to, queue, payload = unpack(ARGV, i, i + 6)
  local gone
  if kind == 'list' then
    gone = call('LREM', KEYS[FIXED + from], 1, member)
  else
    gone = call('ZREM', KEYS[FIXED + from], member)
  end
  if gone > 0 then
    if to ~= '0' then
      call('SADD', k_queues, queue)
      call('LPUSH', KEYS[FIXED + to], payload)
    end
    taken[#taken + 1] = id
  end
end
return taken
