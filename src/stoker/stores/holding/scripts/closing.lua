-- How jobs leave the hash of a claim. Of what is over the state stays there until all of the claim is; then one key
-- remembers it for a while, so that an ending sent again is known: a word where all of them were completed.
local REMEMBERED = 600

local function standing(k_held, k_ended, id, state)
  local value = call('HGET', k_held, id)
  if value and sub(value, 1, 1) ~= '\0' then return value end
  local mark = value
  if not mark then
    local kind = call('TYPE', k_ended).ok
    if kind == 'string' then mark = '\0' .. call('GET', k_ended) end
    if kind == 'hash' then mark = call('HGET', k_ended, id) end
  end
  if mark then return nil, mark == '\0' .. state and 'repeated' or 'lost' end
  return nil, call('EXISTS', k_held) == 1 and 'gone' or 'lost'
end

local function close(token, k_held, k_ended, ids, state)
  local open = call('HINCRBY', k_held, '\0open', -#ids)
  local alike = open == 0 and state == 'completed' and call('HEXISTS', k_held, '\0mixed') == 0
  if not alike then
    local marks = {}
    for i = 1, #ids do
      marks[2 * i - 1] = ids[i]
      marks[2 * i] = '\0' .. state
    end
    in_parts(marks, function(...) call('HSET', k_held, ...) end)
    if state ~= 'completed' then call('HSET', k_held, '\0mixed', 1) end
  end
  if open > 0 then return end
  if alike then
    call('DEL', k_held)
    call('SET', k_ended, state, 'EX', REMEMBERED)
  else
    call('RENAME', k_held, k_ended)
    call('EXPIRE', k_ended, REMEMBERED)
  end
  call('ZREM', k_leases, token)
  call('HDEL', k_holders, token)
end
