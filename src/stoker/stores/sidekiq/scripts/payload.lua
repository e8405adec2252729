-- What has to be known of a job here: its class, its jid, and its route ('' but for our own jobs with tags).
-- Ours begin with the first two, so most need no decoding; decoded is for looking only, nothing is ever written back.
local function read(payload)
  local class, jid = match(payload, '^{"class":"([^"\\]*)","jid":"([^"\\]*)","queue":')
  if class then return class, jid, '' end
  local ok, job = pcall(cjson.decode, payload)
  if not ok or type(job) ~= 'table' or type(job.class) ~= 'string' then return nil end
  local ours = type(job.stoker) == 'table' and job.stoker or {}
  if type(job.wrapped) == 'string' then job.class = job.wrapped end
  return job.class, type(job.jid) == 'string' and job.jid or nil, ours.route or '', job
end

local function lane_of(queue, class, route)
  return queue .. '\n' .. string.gsub(class or '', '\n', ' ') .. '\n' .. (route or '')
end
