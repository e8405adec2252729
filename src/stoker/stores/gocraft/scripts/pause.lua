-- keys: paused
-- Pauses or resumes queues and names, names also for Go: its keys follow, each with the place of the name it is of.
local kind, wish, count, changed, had = ARGV[2], ARGV[3] == '1', tonumber(ARGV[4]), 0, {}
for i = 5 + count, #ARGV do
  local key, place = KEYS[FIXED + i - 4 - count], tonumber(ARGV[i])
  if wish then
    call('SET', key, format('%.0f', floor(now / 1000000)), 'NX')
  elseif call('DEL', key) == 1 then
    had[place] = true
  end
end
for i = 1, count do
  local field = kind .. '\n' .. ARGV[4 + i]
  if wish then
    changed = changed + call('HSETNX', k_paused, field, whole(now))
  elseif call('HDEL', k_paused, field) == 1 or had[i] then
    changed = changed + 1
  end
end
return changed
