-- The endings of attempts. What deletes its job comes first and costs least, then what keeps it, then all others.
local refused, at = {}, 1

local function take()
  at = at + 1
  return ARGV[at]
end

local function refuse(id, token, why)
  local n = #refused
  refused[n + 1], refused[n + 2], refused[n + 3] = id, token, why
end

-- Gives why a token may not end a job, nil if it may.
local function guard(r, token, gone)
  if gone then return 'gone' end
  if not r or r.token ~= token then return 'lost' end
  return r.state ~= RUNNING and 'repeated' or nil
end

local function held_by(value, token)
  local r = value and parse(value)
  local why = guard(r, token, not value)
  return not why and r or nil, why
end

local function forget(key, ids)
  if ids[1] then in_parts(ids, function(...) call('HDEL', key, ...) end) end
end

local function seen_of(value, header, token, prepare)
  local r, why = held_by(value, token)
  if not r then return {why = why} end
  local seen = prepare(r)
  seen.r, seen.jobs, seen.header = r, 0, header
  return seen
end

-- Calls `visit` for each job that the token holds, with what `prepare` made of the first of its header.
local function each_held(ids, token, prepare, visit)
  local loose, places, all, known = {}, {}, {}, {}

  local function meet(i, seen, body)
    if seen.why then
      refuse(ids[i], token, seen.why)
    else
      seen.jobs = seen.jobs + 1
      visit(i, seen, body)
    end
  end

  for i = 1, #ids do
    local p, place = packed_in(ids[i])
    if p then
      local seen = p.seen
      if not seen or seen.token ~= token then
        seen = seen_of(p.header, p.header, token, prepare)
        seen.token, seen.pack = token, p
        p.seen, all[#all + 1] = seen, seen
      end
      meet(i, seen, place)
      if not seen.why then drop(p, place) end
    else
      loose[#loose + 1], places[#places + 1] = ids[i], i
    end
  end
  local values, seen = fetch(k_jobs, loose, 1, #loose), nil
  for j = 1, #loose do
    local value = values[j]
    -- Most are like the one before; to see that costs less than to cut the header out.
    if not (seen and not seen.why and value and find(value, seen.header, 1, true) == 1) then
      local header = value and header_of(value)
      seen = header and known[header]
      if not seen then
        seen = seen_of(value, header, token, prepare)
        all[#all + 1] = seen
        if header then known[header] = seen end
      end
    end
    meet(places[j], seen, value)
  end
  local ended = 0
  for _, one in ipairs(all) do
    if one.r then
      tally(RUNNING, one.r.fixed.lane, -one.jobs)
      ended = ended + one.jobs
    end
  end
  if ended > 0 then release_lease(token, ended) end
  return all
end

-- Deletes a whole pack whose jobs all ended, if the token holds it.
local function delete_pack(p, token)
  if guard(p.r, token, false) then return false end
  p.left, p.dirty = 0, true
  p.signs = {string.byte(string.rep('1', p.count), 1, p.count)}
  local lane, thousand = p.r.fixed.lane, sub(p.block, 1, -2)
  tally(RUNNING, lane, -p.count)
  alive[thousand] = (alive[thousand] or 0) - p.count
  release_lease(token, p.count)
  return true
end

local function delete(token, noted)
  local ids = {}
  for _, note in ipairs(noted) do
    local dash = find(note, '-', 1, true)
    if not dash then
      ids[#ids + 1] = note
    else
      local number, last = tonumber(sub(note, 1, dash - 1)), tonumber(sub(note, dash + 1))
      while number <= last do
        local p = number % 100 == 0 and pack_of(sub(whole(number), 1, -3))
        if p and p.left == p.count and number + p.count - 1 <= last and delete_pack(p, token) then
          number = number + p.count
        else
          ids[#ids + 1] = id_of(number)
          number = number + 1
        end
      end
    end
  end
  local deleted, erred, apart, n = {}, {}, {}, 0
  each_held(ids, token, function() return {} end, function(i, seen)
    local id, r = ids[i], seen.r
    tally_alive(id, -1)
    tell(id, r, COMPLETED)
    if not seen.pack then
      n = n + 1
      deleted[n] = id
      if r.erred then erred[#erred + 1] = id end
      if r.apart then apart[#apart + 1] = id end
      if r.noted then call('HDEL', k_notes, id .. 'p', id .. 'c', id .. 'l') end
      if r.cancelling then call('HDEL', k_cancels, id) end
      if r.fixed.key ~= '' then release_key(id, r.fixed.key) end
      if r.limited then
        leave_gates(id, r, true)
        call('HDEL', k_gates, id)
      end
    end
  end)
  forget(k_jobs, deleted)
  forget(k_args, apart)
  forget(k_errors, erred)
end

-- What a completed job's header is, in two parts: between them comes when it started.
local function completion(r, keep)
  local cancelling = r.cancelling
  r.state, r.cancelling, r.finished, r.kept = COMPLETED, false, now, keep or -1
  local new = pack(r)
  r.cancelling = cancelling
  return {new = new, before = sub(new, 1, STARTED_AT - 1), after = sub(new, STARTED_AT + 8)}
end

local function complete(keep, token, count)
  local ids, said = {}, at
  for i = 1, count do ids[i] = ARGV[said + 3 * i - 2] end
  at = at + 3 * count
  local written, results, kept, n = {}, {}, {}, 0
  local all = each_held(ids, token, function(r) return completion(r, keep) end, function(i, seen, value)
    local id, duration, result = ids[i], tonumber(ARGV[said + 3 * i - 1]), ARGV[said + 3 * i]
    local new = seen.new
    if duration > 0 then new = seen.before .. struct.pack('<d', now - duration) .. seen.after end
    local body = seen.pack and bodies_of(seen.pack)[value] or not seen.pack and sub(value, #seen.header + 1)
    written[n + 1], written[n + 2] = id, new .. body
    n = n + 2
    kept[n / 2] = id
    if result ~= '' then
      results[#results + 1] = id
      results[#results + 1] = result
    end
    tell(id, seen.r, COMPLETED)
    if seen.r.cancelling then call('HDEL', k_cancels, id) end
    if seen.r.fixed.key ~= '' then follow_key(id, seen.r) end
    if seen.r.limited then leave_gates(id, seen.r, true) end
  end)
  for _, seen in ipairs(all) do
    if seen.r then tally(COMPLETED, seen.r.fixed.lane, seen.jobs) end
  end
  in_parts(written, function(...) call('HSET', k_jobs, ...) end)
  in_parts(results, function(...) call('HSET', k_results, ...) end)
  if keep then expire(kept, now + keep) end
end

local function settle_one()
  local id, token, state, due_at, delay = take(), take(), tonumber(take()), take(), tonumber(take())
  local keep, result, duration, counts = tonumber(take()), take(), tonumber(take()), take()
  local attempt, failure = take(), take()
  local r = load(id)
  local why = guard(r, token, not r and call('HEXISTS', k_jobs, id) == 0)
  if why then
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
