-- keys: crashes
-- Gives all that a claim holds, and how often the worker of each job has died.
local held, crashes = call('HGETALL', KEYS[FIXED + 1]), {}
for i = 1, #held, 2 do crashes[#crashes + 1] = call('HGET', k_crashes, held[i]) or '0' end
return {whole(now), held, crashes}
