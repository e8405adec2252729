-- keys: meta jobs packs bodies results errors
-- uses: record packs
local id = ARGV[2]
local r = load(id)
if not r then return false end
local errors = r.erred and call('HGET', k_errors, id)
return {r.state, call('HGET', k_results, id), errors and string.match(errors, '[^\n]*$') or false}
