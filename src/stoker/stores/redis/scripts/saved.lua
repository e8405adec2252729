-- keys: meta notes
local fields = {}
for i = 2, #ARGV do fields[i - 1] = ARGV[i] .. 'c' end
return fetch(k_notes, fields, 1, #fields)
