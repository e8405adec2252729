-- A job's record: numbers, the token and worker of its latest claim, then the text that never changes (`static`).
-- Jobs enqueued together have equal records, so what is worked out for one is remembered for the others.
local SCHEDULED, AVAILABLE, RUNNING, RETRYABLE, COMPLETED, CANCELLED, DISCARDED = 1, 2, 3, 4, 5, 6, 7
local NUMBERS = '<BBI4I4I4I4dddddddc32Hc0'
local SHORTEST = 108
local LARGEST = 2 ^ 53
local NOBODY = string.rep(' ', 32)
local STATIC_FIELDS = 17

local statics = {}

local function static_of(text)
  local known = statics[text]
  if known == nil then
    local f, n = {}, 0
    for field in string.gmatch(text .. '\n', '([^\n]*)\n') do
      n = n + 1
      f[n] = field
    end
    known = n == STATIC_FIELDS and {
      lane = f[1], order = f[2], name = f[3], queue = f[4], route = f[5], priority = f[6], meta = f[7],
      keep = f[8], keep_failed = f[9], version = f[10], parent = f[11], root = f[12], labels = f[13],
      origin = f[14], crash_limit = tonumber(f[15]), mask = tonumber(f[16]), key = f[17],
    } or false
    statics[text] = known
  end
  return known
end

-- Gives nil for what nobody wrote on purpose.
local function parse(record)
  if not record or #record < SHORTEST or #record < SHORTEST + struct.unpack('<H', record, SHORTEST - 1) then
    return nil
  end
  local r, flags, at = {}, nil, nil
  r.state, flags, r.starts, r.failures, r.crashes, r.snoozes, r.max_attempts, r.pos, r.enqueued, r.run, r.started,
    r.finished, r.kept, r.token, r.worker, at = struct.unpack(NUMBERS, record)
  r.static = sub(record, at)
  r.fixed = static_of(r.static)
  r.cancelling, r.begun, r.erred = flags % 2 == 1, floor(flags / 2) % 2 == 1, floor(flags / 4) % 2 == 1
  local sound = r.fixed and r.state >= SCHEDULED and r.state <= DISCARDED and r.max_attempts < LARGEST
    and r.enqueued < LARGEST and r.run < LARGEST and r.started < LARGEST and r.finished < LARGEST and r.kept < LARGEST
  return sound and r or nil
end

local function pack(r)
  local flags = (r.cancelling and 1 or 0) + (r.begun and 2 or 0) + (r.erred and 4 or 0)
  return struct.pack(
    NUMBERS, r.state, flags, r.starts, r.failures, r.crashes, r.snoozes, r.max_attempts, r.pos, r.enqueued, r.run,
    r.started, r.finished, r.kept, r.token, #r.worker, r.worker
  ) .. r.static
end

local function fresh(state, static, max_attempts, run)
  return {
    state = state, starts = 0, failures = 0, crashes = 0, snoozes = 0, max_attempts = max_attempts, pos = 0,
    enqueued = now, run = run, started = -1, finished = -1, kept = -1, token = NOBODY, worker = '',
    static = static, fixed = static_of(static),
  }
end

-- Members of `ready` sort by lane, then priority (high first), then place. A new job's place is its id.
local function member(id, r)
  return r.fixed.lane .. r.fixed.order .. format('%015.0f', r.pos == 0 and id or r.pos) .. ' ' .. id
end
