-- keys: queues busy schedule retry dead
-- Says what there is to count.
local lists = call('SMEMBERS', k_queues)
return {whole(now), lists, call('HGETALL', k_busy), {call('ZCARD', k_schedule), call('ZCARD', k_retry), call('ZCARD', k_dead)}}
