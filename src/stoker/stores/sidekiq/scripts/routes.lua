-- keys: routes
return call('SMEMBERS', k_routes)
