-- The moves between states, which keep every index right; `finish` writes down what they tallied.
local counted, released, alive, rung = {}, {}, {}, {}

local function tally(state, lane, by)
  local group = state .. lane
  counted[group] = (counted[group] or 0) + by
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
  if not in_mask(r.fixed.mask, r.state) then
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

local function leave(id, r)
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
  elseif r.state < COMPLETED then
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
  if r.noted then call('HDEL', k_notes, id .. 'p', id .. 'c') end
  tally_alive(id, -1)
  if r.fixed.key ~= '' then release_key(id, r.fixed.key) end
end

local function to_available(id, r, run)
  leave(id, r)
  r.pos = call('HINCRBY', k_meta, 'numbers', 1)
  r.run = run
  call('ZADD', k_ready, 0, single_of(id, r))
  rung[queue_of(r.fixed.lane)] = true
  enter(id, r, AVAILABLE)
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
  leave(id, r)
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
