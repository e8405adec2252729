-- keys: meta entries
return {whole(now), unpack(call('HGETALL', k_entries))}
