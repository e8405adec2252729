-- keys: schedule retry
return {call('ZREVRANGE', k_schedule, 0, 0, 'WITHSCORES'), call('ZREVRANGE', k_retry, 0, 0, 'WITHSCORES')}
