-- keys: meta paused
return call('HGETALL', k_paused)
