-- keys: leases holders busy crashes processed failed processed_today failed_today
-- uses: closing ending
-- The endings that leave nothing: per claim its token and ids. What was held to be moved was not processed.
local refused, i, processed = {}, 2, 0
for claim = 1, tonumber(ARGV[2]) do
  local k_held, k_ended, token, count = KEYS[FIXED + 2 * claim - 1], KEYS[FIXED + 2 * claim], ARGV[i + 1], tonumber(ARGV[i + 2])
  i = i + 2
  local moved = match(call('HGET', k_holders, token) or '', '^%d+ move to ')
  local ids = {}
  for first = i + 1, i + count, MOST_VALUES do
    local last = math.min(first + MOST_VALUES - 1, i + count)
    local values = call('HMGET', k_held, unpack(ARGV, first, last))
    for place = first, last do
      local value = values[place - first + 1]
      if value and sub(value, 1, 1) ~= '\0' then
        leave_lane(value)
        ids[#ids + 1] = ARGV[place]
      else
        local _, why = standing(k_held, k_ended, ARGV[place], 'completed')
        refused[#refused + 1] = {token, ARGV[place], why}
      end
    end
  end
  i = i + count
  if #ids > 0 then
    in_parts(ids, function(...) call('HDEL', k_crashes, ...) end)
    close(token, k_held, k_ended, ids, 'completed')
    if not moved then processed = processed + #ids end
  end
end
count_ended(processed, 0)
return refused
