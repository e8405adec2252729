-- A batch is a field of one hash: version, whether it is finished, the call that moved it last and when, in one line;
-- then its document. Its ledger is a field of another, an event a line.
local function batch_of(id)
  local value = call('HGET', k_batches, id)
  if not value then return nil end
  local version, finished, by, at, doc = string.match(value, '^(%d+) (%d) (%S+) (%d+)\n(.*)$')
  return {version = version, finished = finished == '1', call = by, at = tonumber(at), doc = doc}
end

local function save_batch(id, version, finished, by, doc)
  call('HSET', k_batches, id, format('%s %s %s %s\n', version, finished, by, whole(now)) .. doc)
end

local function is_open(id)
  local batch = batch_of(id)
  return batch ~= nil and not batch.finished
end
