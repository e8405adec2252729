-- keys: meta args state ready due done leases held left cancels results errors counts blocks slots
-- uses: record moves
-- Ends attempts. What deletes its job comes first and costs least, then what keeps it, then all other endings.
local refused, at = {}, 1

local function take()
  at = at + 1
  return ARGV[at]
end

local function refuse(id, token, why)
  local n = #refused
  refused[n + 1], refused[n + 2], refused[n + 3] = id, token, why
end

-- Gives the job that the token holds, nil and the reason if it does not.
local function held_by(record, token)
  if not record then return nil, 'gone' end
  local r = parse(record)
  if not r or r.token ~= token then return nil, 'lost' end
  if r.state ~= RUNNING then return nil, 'repeated' end
  return r
end

local function forget(key, ids)
  if ids[1] then in_parts(ids, function(...) call('HDEL', key, ...) end) end
end

local function delete(token, ids)
  local states, known, deleted, erred, lanes = fetch(k_state, ids, 1, #ids), {}, {}, {}, {}
  for i = 1, #ids do
    local id, record = ids[i], states[i]
    local r = record and known[record]
    if not r then
      local why
      r, why = held_by(record, token)
      if r then known[record] = r else refuse(id, token, why) end
    end
    if r then
      deleted[#deleted + 1] = id
      local lane = r.fixed.lane
      lanes[lane] = (lanes[lane] or 0) + 1
      tally_alive(id, -1)
      if r.erred then erred[#erred + 1] = id end
      if r.cancelling then call('HDEL', k_cancels, id) end
      if r.fixed.key ~= '' then release_key(id, r.fixed.key) end
    end
  end
  for lane, jobs in pairs(lanes) do tally(RUNNING, lane, -jobs) end
  if deleted[1] then release_lease(token, #deleted) end
  forget(k_state, deleted)
  forget(k_args, deleted)
  forget(k_errors, erred)
end

local function complete(keep, token, count)
  local ids, said = {}, {}
  for i = 1, count do ids[i], said[2 * i - 1], said[2 * i] = take(), tonumber(take()), take() end
  local states, written, results, expiries = fetch(k_state, ids, 1, count), {}, {}, {}
  local ended, expiry = 0, keep and whole(now + keep)
  for i = 1, count do
    local id = ids[i]
    local r, why = held_by(states[i], token)
    if not r then
      refuse(id, token, why)
    else
      ended = ended + 1
      tally(RUNNING, r.fixed.lane, -1)
      tally(COMPLETED, r.fixed.lane, 1)
      if r.cancelling then call('HDEL', k_cancels, id) end
      r.state, r.cancelling, r.finished, r.kept = COMPLETED, false, now, keep or -1
      if said[2 * i - 1] > 0 then r.started = now - said[2 * i - 1] end
      written[2 * ended - 1], written[2 * ended] = id, pack(r)
      if keep then expiries[2 * ended - 1], expiries[2 * ended] = expiry, id end
      if said[2 * i] ~= '' then
        results[#results + 1] = id
        results[#results + 1] = said[2 * i]
      end
      if r.fixed.key ~= '' then follow_key(id, r) end
    end
  end
  if ended > 0 then release_lease(token, ended) end
  in_parts(written, function(...) call('HSET', k_state, ...) end)
  in_parts(results, function(...) call('HSET', k_results, ...) end)
  in_parts(expiries, function(...) call('ZADD', k_done, ...) end)
end

local function settle_one()
  local id, token, state, due_at, delay = take(), take(), tonumber(take()), take(), tonumber(take())
  local keep, result, duration, counts = tonumber(take()), take(), tonumber(take()), take()
  local attempt, failure = take(), take()
  local r, why = held_by(call('HGET', k_state, id), token)
  if not r then
    refuse(id, token, why)
    return
  end
  if duration > 0 then r.started = now - duration end
  if counts == 'failure' then r.failures = r.failures + 1 end
  if counts == 'snooze' then r.snoozes = r.snoozes + 1 end
  if failure ~= '' then add_failure(id, r, format('[%s,%.0f,%s]', attempt, now, failure)) end
  local due = tonumber(due_at) or now + delay
  if state >= COMPLETED then
    if result ~= '' then call('HSET', k_results, id, result) end
    to_final(id, r, state, keep)
  elseif r.cancelling then
    -- A job that somebody asked to stop gets no other ending than a final one.
    to_final(id, r, CANCELLED, tonumber(r.fixed.keep_failed))
  elseif state == AVAILABLE and due <= now then
    to_available(id, r, now)
  else
    to_later(id, r, state == AVAILABLE and SCHEDULED or state, due)
  end
end

for _ = 1, tonumber(take()) do
  local token, count = take(), tonumber(take())
  local ids = {}
  for i = 1, count do ids[i] = ARGV[at + i] end
  at = at + count
  delete(token, ids)
end
for _ = 1, tonumber(take()) do
  local keep, token, count = tonumber(take()), take(), tonumber(take())
  complete(keep, token, count)
end
for _ = 1, tonumber(take()) do settle_one() end
finish()
return refused
