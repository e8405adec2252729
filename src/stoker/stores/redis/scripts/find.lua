-- keys: meta args jobs packs bodies results errors notes blocks gates
-- uses: record packs filter
-- Gives rows until there are enough, too many bytes of them, or too much was looked at; then also where to go on.
local MOST_BYTES, MOST_SEEN = 8 * 1024 * 1024, 5000
local limit, bound, newest = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2] == '1'
if newest then sign = -1 end
local out, rows, size, last = {}, 0, 0, false

local function text_or_null(text)
  return text and '"' .. text .. '"' or 'null'
end

local function row(id, r)
  local f, final = r.fixed, r.state >= COMPLETED
  local args = r.apart and call('HGET', k_args, id) or r.args
  local errors = r.erred and call('HGET', k_errors, id) or ''
  return table.concat({
    '\n["' .. id .. '"', r.state, r.cancelling and r.state == RUNNING and 1 or 0, f.name, f.queue, '"' .. args .. '"',
    f.priority, whole(r.max_attempts), whole(r.starts), whole(r.failures), whole(r.crashes), whole(r.snoozes),
    whole(r.run), whole(r.enqueued), none_or(r.started), final and none_or(r.finished) or 'null', f.keep, f.keep_failed,
    none_or(r.kept), text_or_null(final and call('HGET', k_results, id)), '"' .. r.worker .. '"', f.route, f.meta,
    f.version, f.crash_limit, f.parent, f.root, f.labels, f.origin,
    r.limited and cjson.encode(call('HGET', k_gates, id) or '') or 'null', '[' .. string.gsub(errors, '\n', ',') .. ']',
    text_or_null(r.noted and call('HGET', k_notes, id .. 'p')),
    text_or_null(r.noted and call('HGET', k_notes, id .. 'c')), f.expires and whole(f.expires) or 'null',
    f.key ~= '' and '"' .. f.key .. '",' .. f.mask .. '],' or 'null,0],',
  }, ',')
end

local function any_job() return true end

local onward = each(bound, MOST_SEEN, any_job, function(id, r)
  rows, last = rows + 1, id
  out[rows] = row(id, r)
  size = size + #out[rows]
  return rows >= limit or size >= MOST_BYTES
end)
if onward then return {table.concat(out), onward} end
return {table.concat(out), (rows >= limit or size >= MOST_BYTES) and last or false}
