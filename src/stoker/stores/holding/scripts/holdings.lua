-- keys: holders
-- Gives the claims that there are, each with the time and the worker.
return {whole(now), call('HGETALL', k_holders)}
