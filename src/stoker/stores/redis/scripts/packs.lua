-- Jobs that were enqueued together and have gone no separate way stay one value: a pack of up to a hundred, whose ids
-- share all but the last two digits. `packs` has what changes: how many jobs it had, how many are left, a sign for each
-- (1: gone, or stored by itself), and the header that all have in common. `bodies` has their arguments, line by line.
local packs = {}
local HERE, GONE = 48, 49

local function pack_head(p)
  return format('%03d%03d', p.count, p.left) .. string.char(unpack(p.signs)) .. p.header
end

local function pack_of(block)
  local p = packs[block]
  if p == nil then
    local head = call('HGET', k_packs, block)
    p = false
    if head then
      local count = tonumber(sub(head, 1, 3))
      p = {
        block = block, count = count, left = tonumber(sub(head, 4, 6)), signs = {string.byte(head, 7, 6 + count)},
        header = sub(head, 7 + count),
      }
      p.r = parse(p.header)
      if not p.r then p = false end
    end
    packs[block] = p
  end
  return p
end

-- Gives the pack that a job is in, and its place there from 1 on.
local function packed_in(id)
  local p = pack_of(sub(id, 1, -3))
  if not p then return nil end
  local a, b = string.byte(id, -2, -1)
  local place = b and 10 * a + b - 527 or a - 47
  if p.signs[place] == HERE then return p, place end
  return nil
end

local function text_of(p)
  p.text = p.text or call('HGET', k_bodies, p.block) or ''
  return p.text
end

local function bodies_of(p)
  if not p.bodies then
    p.bodies = {}
    local n = 0
    for body in string.gmatch(text_of(p), '([^\n]*)\n') do
      n = n + 1
      p.bodies[n] = body
    end
  end
  return p.bodies
end

-- The jobs of a lease are noted one by one, but those of a whole pack as FIRST-LAST.
local function each_noted(noted, visit)
  for first, last in string.gmatch(noted, '(%d+)%-?(%d*)') do
    if last == '' then
      visit(first)
    else
      for number = tonumber(first), tonumber(last) do visit(id_of(number)) end
    end
  end
end

local function drop(p, place)
  p.signs[place], p.left, p.dirty = GONE, p.left - 1, true
end

local function unpacked(id)
  local p, place = packed_in(id)
  local body = p and bodies_of(p)[place]
  local r = body and parse(p.header .. body)
  if r then r.pack, r.place = p, place end
  return r
end

local function load(id)
  local value = call('HGET', k_jobs, id)
  if value then return parse(value) end
  return unpacked(id)
end

local function leave_pack(r)
  if r.pack then drop(r.pack, r.place) end
  r.pack = nil
end

local function save(id, r)
  call('HSET', k_jobs, id, pack(r) .. r.args)
  leave_pack(r)
end

local function write_packs()
  for block, p in pairs(packs) do
    if p and p.dirty then
      if p.left == 0 then
        call('HDEL', k_packs, block)
        call('HDEL', k_bodies, block)
      else
        call('HSET', k_packs, block, pack_head(p))
      end
    end
  end
end
