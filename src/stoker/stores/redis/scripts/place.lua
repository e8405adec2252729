-- How a job gets in beside others: alone, after a look at its unique key.
-- Of what is added to a batch its ledger is told; `enter` is called once nothing can be refused any more.
local counting, added, enter = false, {}, nil

local function read_groups(count, at)
  local groups = {}
  for i = 1, count do
    groups[i] = {
      lane = ARGV[at + 1], order = ARGV[at + 2], static = ARGV[at + 3], max_attempts = tonumber(ARGV[at + 4]),
      run = tonumber(ARGV[at + 5]) or now + ARGV[at + 6], version = ARGV[at + 7], policy = ARGV[at + 8],
      within = tonumber(ARGV[at + 9]), gates = ARGV[at + 10], expires = tonumber(ARGV[at + 11]), tail = ARGV[at + 12],
    }
    local delay = string.match(ARGV[at + 11], '^%+(%d+)$')
    if delay then groups[i].expires = now + delay end
    at = at + 12
  end
  return groups, at
end

local function put_args(id, r, args)
  if r.apart then call('HDEL', k_args, id) end
  r.apart = #args > MOST_INLINE
  r.args = r.apart and '' or args
  if r.apart then call('HSET', k_args, id, args) end
end

local function insert(id, group, args, key)
  local state = group.run <= now and AVAILABLE or SCHEDULED
  local static = group.static .. key
  if group.expires or group.tail ~= '' then
    static = static .. '\n' .. (group.expires and whole(group.expires) or '') .. group.tail
  end
  if group.expires then call('ZADD', k_expiring, whole(group.expires), id) end
  local r = fresh(state, static, group.max_attempts, group.run)
  put_args(id, r, args)
  if group.gates ~= '' then
    r.limited = true
    call('HSET', k_gates, id, group.gates)
  end
  if state == AVAILABLE then
    rung[queue_of(group.lane)] = true
    if r.limited then
      r.state, r.pos = WAITING, tonumber(id)
      wait_at_gates(id, r, group.gates)
    else
      call('ZADD', k_ready, 0, entry_of(group.lane .. group.order, tonumber(id), 1))
    end
  else
    plan(id, r)
  end
  save(id, r)
  tally(r.state, group.lane, 1)
  tally_alive(id, 1)
  if counting and r.fixed.batch then added[r.fixed.batch] = (added[r.fixed.batch] or 0) + 1 end
  if key ~= '' then
    local till = group.within and now + group.within
    local holds = in_mask(r.fixed.mask, state)
    if holds or (till and now < till) then write_slot(key, holds, till, id) end
    if till then call('ZADD', k_windows, whole(till), key) end
  end
  return id
end

local function replace(id, r, group, args)
  local f = r.fixed
  r.static = table.concat({
    f.lane, f.order, f.name, f.queue, f.route, f.priority, f.meta, f.keep, f.keep_failed, group.version, f.parent,
    f.root, f.labels, f.origin, f.crash_limit, f.mask, f.key,
  }, '\n')
  if f.expires or f.batch then
    r.static = r.static .. '\n' .. (f.expires and whole(f.expires) or '')
    if f.batch then r.static = r.static .. '\n' .. f.batch .. '\n' .. f.node end
  end
  put_args(id, r, args)
  save(id, r)
end

local function reschedule(id, r, group)
  if group.run > now then
    to_later(id, r, r.state == RETRYABLE and RETRYABLE or SCHEDULED, group.run)
  elseif r.state ~= AVAILABLE and r.state ~= WAITING then
    to_available(id, r, now)
  end
end

-- Gives the job's id, or that of the holder of its key behind a `=`.
local function put_job(id, group, args, key)
  local slot = key ~= '' and slot_of(key)
  if not slot or not slot.taken then return insert(id, group, args, key) end
  if group.policy == 'keep' then return '=' .. slot.holder end
  local r = load(slot.holder)
  -- What the holder runs with cannot be changed any more; the newer wish takes the key over.
  if not r or not (r.state < RUNNING or r.state == RETRYABLE) then return insert(id, group, args, key) end
  if group.policy == 'replace' then replace(slot.holder, r, group, args) else reschedule(slot.holder, r, group) end
  return '=' .. slot.holder
end
