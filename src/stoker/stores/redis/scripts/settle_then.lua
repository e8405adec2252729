-- keys: meta args jobs packs bodies ready due done leases held left cancels results errors notes counts blocks slots windows expiring gates waiting places unheard spent stirred ledger
-- uses: record packs ready moves ending place
-- Ends attempts, and stores what follows from those endings that were not refused.
local none_follow = {}
for i = 1, #refused, 3 do none_follow[refused[i] .. ' ' .. refused[i + 1]] = true end
local groups
groups, at = read_groups(tonumber(take()), at)
for _ = 1, tonumber(take()) do
  local attempt, count = take(), tonumber(take())
  for _ = 1, count do
    local group, args, key = groups[tonumber(take())], take(), take()
    if not none_follow[attempt] then
      put_job(whole(call('HINCRBY', k_meta, 'numbers', 1)), group, args, key)
    end
  end
end
finish()
return refused
