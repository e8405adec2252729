-- keys: scheduled retry
return {call('ZREVRANGE', k_scheduled, 0, 0, 'WITHSCORES'), call('ZREVRANGE', k_retry, 0, 0, 'WITHSCORES')}
