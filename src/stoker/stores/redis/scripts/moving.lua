-- The move stands at the end of the arguments: what is told to other batches, then id, version, document, the number of
-- events that were seen, whether it is finished, the call, and the numbers of jobs and of what is told.
local of_move = #ARGV - 7
do
  local id, version, doc, seen = ARGV[of_move], ARGV[of_move + 1], ARGV[of_move + 2], tonumber(ARGV[of_move + 3])
  local finished, by, tells = ARGV[of_move + 4], ARGV[of_move + 5], tonumber(ARGV[of_move + 7])
  local batch = batch_of(id)
  if not batch then return 0 end
  if batch.call == by then return 1 end
  if batch.version ~= version then return 0 end
  local ledger, from = call('HGET', k_ledger, id) or '', 1
  for _ = 1, seen do from = (find(ledger, '\n', from, true) or #ledger) + 1 end
  if finished == '1' and from <= #ledger then return 0 end
  if from > #ledger then
    call('HDEL', k_ledger, id)
  else
    call('HSET', k_ledger, id, sub(ledger, from))
  end
  save_batch(id, whole(tonumber(version) + 1), finished, by, doc)
  for i = 1, tells do
    local at = of_move - 3 * (tells - i + 1)
    note(ARGV[at], '-', ARGV[at + 1], tonumber(ARGV[at + 2]), 1)
  end
  if ARGV[of_move + 6] == '0' then
    finish()
    return 1
  end
end
