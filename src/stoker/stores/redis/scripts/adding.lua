-- The batches stand at the end of the arguments, and their number behind them.
for i = #ARGV - tonumber(ARGV[#ARGV]), #ARGV - 1 do
  if not is_open(ARGV[i]) then return {'-1', ARGV[i]} end
end
counting = true
