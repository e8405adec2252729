-- keys: known_jobs lanes scheduled
-- uses: put payload
-- Jobs one by one, each with its list and its key. Who takes a key leaves the job there, byte for byte: gocraft, which
-- writes 1, takes it for the job with its newest arguments.
local A_DAY, KEPT, said = 86400, 7200, {}
local receipt = KEYS[FIXED + 1]
local before = call('GET', receipt)
if before then return before end

local function enter(key, name, lane, at, policy, head, rest)
  local k_jobs, k_unique = KEYS[key], KEYS[key + 1]
  local payload, id = stamped(head, rest), sub(rest, 1, 24)
  local holder = policy ~= '' and call('GET', k_unique)
  if not holder then
    if policy ~= '' then call('SET', k_unique, payload, 'EX', A_DAY) end
    put(k_jobs, name, lane, at, {payload})
    return '+' .. id
  end
  local _, known = read(holder)
  if policy == 'replace' then
    local again = known and #known == 24 and stamped(head, known .. sub(rest, 25)) or payload
    call('SET', k_unique, again, 'EX', A_DAY)
  end
  return '=' .. (known or '')
end

for i = 2, #ARGV, 7 do
  local name, lane, at, delay, policy, head, rest = unpack(ARGV, i, i + 6)
  local place = (i - 2) / 7
  said[#said + 1] = enter(FIXED + 2 + 2 * place, name, lane, tonumber(at) or now + delay, policy, head, rest)
end
local answer = table.concat(said, '\n')
call('SET', receipt, answer, 'EX', KEPT)
return answer
