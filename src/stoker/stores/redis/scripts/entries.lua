-- keys: meta entries
-- uses: entry
return every_entry()
