-- A job is one value: its length up to the arguments, numbers, the token and worker of its latest claim, the text that
-- never changes (`static`), and its arguments unless they are large. All but the arguments is its header; jobs that are
-- enqueued together have equal headers, so what is worked out for one is remembered for the others.
-- An available job that waits at its gates is WAITING.
local WAITING, SCHEDULED, AVAILABLE, RUNNING, RETRYABLE, COMPLETED, CANCELLED, DISCARDED = 0, 1, 2, 3, 4, 5, 6, 7
local LAYOUT = '<I4BBI4I4I4I4dddddddc32Hc0I4c0'
local STARTED_AT, WORKER_AT, SHORTEST = 55, 111, 116
local LARGEST = 2 ^ 53
local NOBODY = string.rep(' ', 32)
-- One more for a job that expires, three for a member of a batch.
local STATIC_FIELDS, EXPIRING_FIELDS, MEMBER_FIELDS = 17, 18, 20
-- Larger arguments are stored apart, so that an ending need not read them.
local MOST_INLINE = 2000

local statics = {}

local function static_of(text)
  local known = statics[text]
  if known == nil then
    local f, n = {}, 0
    for field in string.gmatch(text .. '\n', '([^\n]*)\n') do
      n = n + 1
      f[n] = field
    end
    known = (n == STATIC_FIELDS or n == EXPIRING_FIELDS or n == MEMBER_FIELDS) and {
      lane = f[1], order = f[2], name = f[3], queue = f[4], route = f[5], priority = f[6], meta = f[7],
      keep = f[8], keep_failed = f[9], version = f[10], parent = f[11], root = f[12], labels = f[13],
      origin = f[14], crash_limit = tonumber(f[15]), mask = tonumber(f[16]), key = f[17],
      expires = tonumber(f[18]), batch = f[19], node = f[20],
    } or false
    statics[text] = known
  end
  return known
end

local function header_of(value)
  local a, b, c = string.byte(value, 1, 3)
  return c and sub(value, 1, a + 256 * b + 65536 * c)
end

local function is_whole(header)
  local length = #header
  if length < SHORTEST or struct.unpack('<I4', header) ~= length then return false end
  local worker = struct.unpack('<H', header, WORKER_AT)
  return length >= SHORTEST + worker and struct.unpack('<I4', header, WORKER_AT + 2 + worker) + SHORTEST + worker == length
end

-- Gives nil for what nobody wrote on purpose.
local function parse(value)
  local header = value and header_of(value)
  if not header or not is_whole(header) then return nil end
  local r, flags, _ = {}, nil, nil
  _, r.state, flags, r.starts, r.failures, r.crashes, r.snoozes, r.max_attempts, r.pos, r.enqueued, r.run, r.started,
    r.finished, r.kept, r.token, r.worker, r.static = struct.unpack(LAYOUT, header)
  r.fixed = static_of(r.static)
  r.cancelling, r.begun = flags % 2 == 1, floor(flags / 2) % 2 == 1
  r.erred, r.apart = floor(flags / 4) % 2 == 1, floor(flags / 8) % 2 == 1
  r.noted = floor(flags / 16) % 2 == 1
  r.limited = floor(flags / 32) % 2 == 1
  r.args = sub(value, #header + 1)
  local sound = r.fixed and r.state >= WAITING and r.state <= DISCARDED and r.max_attempts < LARGEST
    and r.enqueued < LARGEST and r.run < LARGEST and r.started < LARGEST and r.finished < LARGEST and r.kept < LARGEST
  return sound and r or nil
end

-- Gives the header.
local function pack(r)
  local flags = (r.cancelling and 1 or 0) + (r.begun and 2 or 0) + (r.erred and 4 or 0) + (r.apart and 8 or 0)
    + (r.noted and 16 or 0)
    + (r.limited and 32 or 0)
  return struct.pack(
    LAYOUT, SHORTEST + #r.worker + #r.static, r.state, flags, r.starts, r.failures, r.crashes, r.snoozes,
    r.max_attempts, r.pos, r.enqueued, r.run, r.started, r.finished, r.kept, r.token, #r.worker, r.worker, #r.static,
    r.static
  )
end

local function fresh(state, static, max_attempts, run)
  return {
    state = state, starts = 0, failures = 0, crashes = 0, snoozes = 0, max_attempts = max_attempts, pos = 0,
    enqueued = now, run = run, started = -1, finished = -1, kept = -1, token = NOBODY, worker = '',
    static = static, fixed = static_of(static), args = '',
  }
end
