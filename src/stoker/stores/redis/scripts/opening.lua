-- The batch stands at the end of the arguments: id, document, the call that opens it, and the batch around it.
local of_batch = #ARGV - 3
if ARGV[of_batch + 3] ~= '' and not is_open(ARGV[of_batch + 3]) then return {'-1', ARGV[of_batch + 3]} end
enter = function()
  local id, around = ARGV[of_batch], ARGV[of_batch + 3]
  if call('HEXISTS', k_batches, id) == 0 then save_batch(id, '1', '0', ARGV[of_batch + 2], ARGV[of_batch + 1]) end
  if around ~= '' then note(around, '-', id, 0, 1) end
end
