-- keys: meta workers
local known, all = {}, call('HGETALL', k_workers)
for i = 2, #all, 2 do
  if tonumber(string.match(all[i], '^%d+')) > now then known[#known + 1] = all[i] end
end
return known
