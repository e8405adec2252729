-- keys: meta rules stirred lines
local replace = ARGV[2] == '1'
for i = 3, #ARGV, 2 do
  local name, said = ARGV[i], ARGV[i + 1]
  local known = call('HGET', k_rules, name)
  if not known or (replace and known ~= said) then
    call('HSET', k_rules, name, said)
    -- The gates of the rule at which somebody waits, each found by a leap over the one before.
    local from, behind = '[' .. name .. '=', '(' .. name .. '>'
    while true do
      local head = call('ZRANGEBYLEX', k_lines, from, behind, 'LIMIT', 0, 1)[1]
      if not head then break end
      local key = sub(head, 1, find(head, '\1', 1, true) - 1)
      call('SADD', k_stirred, key)
      from = '(' .. key .. '\2'
    end
  end
end
return 1
