-- keys: processes
return call('SMEMBERS', k_processes)
