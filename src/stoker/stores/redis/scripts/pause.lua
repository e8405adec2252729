-- keys: meta paused ready stirred lines
local kind, wish, changed = ARGV[2], ARGV[3] == '1', 0

-- The lanes that have jobs, each found by a leap over the one before.
local function queues_of(name)
  local queues, from = {}, '-'
  while true do
    local head = call('ZRANGEBYLEX', k_ready, from, '+', 'LIMIT', 0, 1)[1]
    if not head then return queues end
    local queue, route, found = string.match(head, '^([^%z]*)%z([^%z]*)%z([^%z]*)%z')
    if found == name then queues[queue] = true end
    from = '(' .. queue .. '\0' .. route .. '\0' .. found .. '\0:'
  end
end

for i = 4, #ARGV do
  local field = kind .. '\0' .. ARGV[i]
  if wish then
    changed = changed + call('HSETNX', k_paused, field, whole(now))
  elseif call('HDEL', k_paused, field) == 1 then
    changed = changed + 1
    local gate = 'paused ' .. kind .. ' ' .. ARGV[i]
    local held_up = call('ZRANGEBYLEX', k_lines, '[' .. gate .. '\1', '(' .. gate .. '\2')
    if held_up[1] then call('SADD', k_stirred, gate) end
    for _, member in ipairs(held_up) do ring(queue_of(sub(member, #gate + 2))) end
    if kind == 'queue' then
      ring(ARGV[i])
    else
      for queue in pairs(queues_of(ARGV[i])) do ring(queue) end
    end
  end
end
return changed
