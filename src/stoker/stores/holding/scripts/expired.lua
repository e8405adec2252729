-- keys: leases
-- Gives the leases that are over.
return {whole(now), call('ZRANGEBYSCORE', k_leases, '-inf', '(' .. whole(now), 'LIMIT', 0, ARGV[2])}
