-- keys: meta overrides override_texts override_notes
local name, text, said = ARGV[2], ARGV[3], ARGV[4]
if (call('HGET', k_override_texts, name) or '') == text then return 0 end
local line = whole(now) .. ' ' .. said
if text == '' then
  call('HDEL', k_override_texts, name)
  call('HDEL', k_overrides, name)
else
  call('HSET', k_override_texts, name, text)
  call('HSET', k_overrides, name, line)
end
-- One list for all names, the newest first, and so many that nobody can fill the server with them.
call('LPUSH', k_override_notes, name .. '\n' .. line)
call('LTRIM', k_override_notes, 0, 9999)
return 1
