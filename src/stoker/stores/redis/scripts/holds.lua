-- keys: leases held left
-- Gives the leases of those whose name begins so.
local begins, found, held = ARGV[2], {}, call('HGETALL', k_held)
for i = 1, #held, 2 do
  local worker = string.match(held[i + 1], '^.([^\n]*)')
  if sub(worker, 1, #begins) == begins then
    found[#found + 1] = {held[i], worker, call('ZSCORE', k_leases, held[i]), call('HGET', k_left, held[i])}
  end
end
return found
