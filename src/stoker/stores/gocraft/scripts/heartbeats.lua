-- keys:
-- Gives what pools said of themselves.
local found = {}
for i = FIXED + 1, #KEYS do
  found[#found + 1] = call('HMGET', KEYS[i], 'heartbeat_at', 'job_names', 'stoker', 'started_at', 'concurrency', 'host', 'pid')
end
return {whole(now), found}
