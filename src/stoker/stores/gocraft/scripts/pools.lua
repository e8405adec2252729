-- keys: worker_pools known_jobs lanes holders
-- Gives the pools, the names, whose lanes they are where the names do not say it, and who holds claims.
return {whole(now), call('SMEMBERS', k_worker_pools), call('SMEMBERS', k_known_jobs), call('HGETALL', k_lanes), call('HVALS', k_holders)}
