-- keys: meta notes
local fields = {}
for i = 2, #ARGV do fields[i - 1] = ARGV[i] .. 'l' end
return fetch(k_notes, fields, 1, #fields)
