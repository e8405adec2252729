-- keys: meta batches ledger
-- Gives batches by id, or up to a number of those with events that were not seen.
local limit, ids = tonumber(ARGV[2]), {}
for i = 3, #ARGV do ids[i - 2] = ARGV[i] end
if not ids[1] then
  for _, id in ipairs(call('HKEYS', k_ledger)) do
    if #ids < limit then ids[#ids + 1] = id end
  end
end
local found = {}
for _, id in ipairs(ids) do
  local value = call('HGET', k_batches, id)
  if value then
    local n = #found
    found[n + 1], found[n + 2], found[n + 3] = id, value, call('HGET', k_ledger, id) or ''
  else
    call('HDEL', k_ledger, id)
  end
end
return found
