-- What has to be known of a job here: its name and its id. Go's jobs, and ours, begin with them, so most need no
-- decoding; decoded is for looking only, nothing is ever written back.
local function read(payload)
  local name, id = match(payload, '^{"name":"([^"\\]*)","id":"([^"\\]*)","t":%d')
  if name then return name, id end
  local ok, job = pcall(cjson.decode, payload)
  if not ok or type(job) ~= 'table' or type(job.name) ~= 'string' then return nil end
  return job.name, type(job.id) == 'string' and job.id or nil
end

-- When a job was put into its list, in seconds; for order only.
local function pushed_at(payload)
  return tonumber(match(payload, '"t":(%d+)')) or 0
end
