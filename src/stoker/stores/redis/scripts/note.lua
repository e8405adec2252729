-- keys: meta jobs packs bodies notes
-- uses: record packs
-- Keeps progress, checkpoint and log lines of running jobs. An empty text leaves what is kept.
local noted = {}
for i = 2, #ARGV, 5 do
  local id, token, progress, checkpoint, lines = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local r = load(id)
  if r and r.state == RUNNING and r.token == token then
    if progress ~= '' then call('HSET', k_notes, id .. 'p', progress) end
    if checkpoint ~= '' then call('HSET', k_notes, id .. 'c', checkpoint) end
    if lines ~= '' then call('HSET', k_notes, id .. 'l', lines) end
    if not r.noted then
      r.noted = true
      save(id, r)
    end
    noted[#noted + 1] = id
  end
end
write_packs()
return noted
