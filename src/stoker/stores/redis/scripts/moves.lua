-- The moves between states, which keep every index right; `finish` writes down what they tallied.
local counted, released, alive, rung = {}, {}, {}, {}

local function tally(state, lane, by)
  local group = state .. lane
  counted[group] = (counted[group] or 0) + by
end

-- Lines for the ledgers of batches: `JOB NODE KIND COUNT`.
local told = {}

local function note(batch, id, node, kind, count)
  local lines = told[batch] or {}
  told[batch] = lines
  lines[#lines + 1] = format('%s %s %d %d\n', id, node == '' and '-' or node, kind, count)
end

-- What a member came to; the negative of a state says that it is no longer so.
local function tell(id, r, kind)
  if r.fixed.batch then note(r.fixed.batch, id, r.fixed.node, kind, 1) end
end

local function release_lease(token, jobs)
  released[token] = (released[token] or 0) + jobs
end

-- Jobs are counted by the thousands of their ids, which tells where to look for them.
local function tally_alive(id, by)
  local block = sub(id, 1, -4)
  alive[block] = (alive[block] or 0) + by
end

local function add_up(key, sums)
  for field, by in pairs(sums) do
    if by ~= 0 and call('HINCRBY', key, field, by) <= 0 then call('HDEL', key, field) end
  end
end

local function finish()
  write_packs()
  add_up(k_counts, counted)
  if next(alive) then add_up(k_blocks, alive) end
  for token, jobs in pairs(released) do
    if call('HINCRBY', k_left, token, -jobs) <= 0 then
      call('HDEL', k_left, token)
      call('HDEL', k_held, token)
      call('ZREM', k_leases, token)
    end
  end
  for batch, lines in pairs(told) do
    call('HSET', k_ledger, batch, (call('HGET', k_ledger, batch) or '') .. table.concat(lines))
  end
  for queue in pairs(rung) do ring(queue) end
end

local function slot_of(key)
  local text = call('HGET', k_slots, key)
  if not text then return nil end
  local held, till, holder = string.match(text, '^(%d) (%S+) (.*)$')
  local slot = {held = held == '1', till = tonumber(till), holder = holder}
  slot.taken = slot.held or (slot.till ~= nil and now < slot.till)
  return slot
end

local function write_slot(key, held, till, holder)
  call('HSET', k_slots, key, (held and '1 ' or '0 ') .. (till and whole(till) or '-') .. ' ' .. holder)
end

local function in_mask(mask, state)
  return floor(mask / 2 ^ state) % 2 == 1
end

local function release_key(id, key)
  local slot = slot_of(key)
  if slot and slot.holder == id then
    if slot.till and now < slot.till then
      write_slot(key, false, slot.till, id)
    else
      call('HDEL', k_slots, key)
    end
  end
end

-- Takes or gives up a job's key as its present state asks for; a key that another has is left to it.
local function follow_key(id, r)
  local key = r.fixed.key
  if key == '' then return end
  if not in_mask(r.fixed.mask, r.state == WAITING and AVAILABLE or r.state) then
    release_key(id, key)
    return
  end
  local slot = slot_of(key)
  if not slot or not slot.taken then
    write_slot(key, true, nil, id)
  elseif slot.holder == id and not slot.held then
    write_slot(key, true, slot.till, id)
  end
end

-- Gates: `gates` has the keys of a job's, a line for each; a job that keeps its place between attempts has `!` before
-- one. `places` has `KEY ID` of those who passed, `waiting` those who wait: `LINE KEPT ORDER PLACE ID`, where a line is
-- what passes together: a lane and gates. `unheard` has those places at rates of whose start no admit has heard, and
-- `spent` how many of them were left since.
local function each_gate(gates, visit)
  for mark, key in string.gmatch(gates, '([! ])([^\n]+)') do visit(key, mark == '!') end
end

local function waiting_of(id, r, gates)
  local kept = '1'
  each_gate(gates, function(key, keeps)
    if keeps and call('ZSCORE', k_places, key .. '\1' .. id) then kept = '0' end
  end)
  local line = r.fixed.lane .. gates .. '\1'
  return line, line .. kept .. r.fixed.order .. format('%015.0f', r.pos) .. ' ' .. id
end

local function wait_at_gates(id, r, gates)
  local line, member = waiting_of(id, r, gates)
  call('ZADD', k_waiting, 0, member)
  call('SADD', k_stirred, line)
end

-- Gives a job's places up; those that it keeps only where it goes for good.
local function leave_places(id, gates, for_good)
  each_gate(gates, function(key, keeps)
    if (for_good or not keeps) and call('ZREM', k_places, key .. '\1' .. id) == 1 then
      call('SADD', k_stirred, key)
      if call('ZREM', k_unheard, key .. '\1' .. id) == 1 then call('HINCRBY', k_spent, key, 1) end
    end
  end)
end

local function leave_gates(id, r, for_good)
  local gates = call('HGET', k_gates, id) or ''
  if r.state == WAITING then
    local _, member = waiting_of(id, r, gates)
    call('ZREM', k_waiting, member)
  end
  leave_places(id, gates, for_good)
end

local function leave(id, r, for_good)
  if r.limited then leave_gates(id, r, for_good) end
  tally(r.state, r.fixed.lane, -1)
  if r.state == RUNNING then
    release_lease(r.token, 1)
    if r.revoked then r.token = NOBODY end
    if r.cancelling then
      call('HDEL', k_cancels, id)
      r.cancelling = false
    end
  elseif r.state == AVAILABLE then
    leave_ready(id, r)
  elseif r.state > WAITING and r.state < COMPLETED then
    call('ZREM', k_due, id)
  end
end

local function enter(id, r, state)
  r.state = state
  tally(state, r.fixed.lane, 1)
  follow_key(id, r)
  save(id, r)
end

local function erase(id, r)
  if r.pack then leave_pack(r) else call('HDEL', k_jobs, id) end
  call('HDEL', k_results, id)
  if r.apart then call('HDEL', k_args, id) end
  if r.erred then call('HDEL', k_errors, id) end
  if r.noted then call('HDEL', k_notes, id .. 'p', id .. 'c', id .. 'l') end
  if r.limited then call('HDEL', k_gates, id) end
  tally_alive(id, -1)
  if r.fixed.key ~= '' then release_key(id, r.fixed.key) end
end

local function to_available(id, r, run)
  if r.state >= COMPLETED then tell(id, r, -r.state) end
  leave(id, r)
  r.pos = call('HINCRBY', k_meta, 'numbers', 1)
  r.run = run
  rung[queue_of(r.fixed.lane)] = true
  if r.limited then
    wait_at_gates(id, r, call('HGET', k_gates, id) or '')
    enter(id, r, WAITING)
  else
    call('ZADD', k_ready, 0, single_of(id, r))
    enter(id, r, AVAILABLE)
  end
end

-- Sleeping workers planned their next look by the earliest due time that they were told.
local function plan(id, r)
  local first = call('ZRANGE', k_due, 0, 0, 'WITHSCORES')
  if not first[2] or r.run < tonumber(first[2]) then rung[queue_of(r.fixed.lane)] = true end
  call('ZADD', k_due, whole(r.run), id)
end

local function to_later(id, r, state, run)
  leave(id, r)
  r.run = run
  plan(id, r)
  enter(id, r, state)
end

-- What ended is noted by the time at which its keeping is over, many jobs in one entry. An entry of a job that was
-- deleted or retried meanwhile stays and is passed over.
local function expire(ids, at)
  for first = 1, #ids, 500 do
    call('ZADD', k_done, whole(at), table.concat(ids, ' ', first, math.min(first + 499, #ids)))
  end
end

local function has_expired(r)
  return r.state >= COMPLETED and r.kept >= 0 and r.finished + r.kept <= now
end

-- `keep` is microseconds, 0 to delete at once, nil for ever.
local function to_final(id, r, state, keep)
  tell(id, r, state)
  leave(id, r, true)
  if keep == 0 then
    erase(id, r)
    return
  end
  r.finished = now
  r.kept = keep or -1
  if keep then expire({id}, now + keep) end
  enter(id, r, state)
end

local function add_failure(id, r, failure)
  local earlier = r.erred and call('HGET', k_errors, id)
  call('HSET', k_errors, id, earlier and earlier .. '\n' .. failure or failure)
  r.erred = true
end
