-- keys:
-- uses: lanes
-- Frees the keys of unique jobs that start. Where a key holds a job, that has the newest arguments: it takes the place of
-- the one that was waiting, also in the list of what is performed, so that it is found there when it ends.
local k_held, found = KEYS[FIXED + 1], {}
for i = 2, #ARGV do
  local id, key, progress = ARGV[i], KEYS[FIXED + 2 * i - 2], KEYS[FIXED + 2 * i - 1]
  local value, newest = call('HGET', k_held, id), call('GET', key)
  if newest then call('DEL', key) end
  if value and sub(value, 1, 1) ~= '\0' then
    local payload = payload_of(value)
    if newest and sub(newest, 1, 1) == '{' and newest ~= payload and call('LREM', progress, -1, payload) == 1 then
      call('LPUSH', progress, newest)
      call('HSET', k_held, id, sub(value, 1, #value - #payload) .. newest)
      payload = newest
    end
    found[#found + 1] = payload
  else
    found[#found + 1] = false
  end
end
return found
