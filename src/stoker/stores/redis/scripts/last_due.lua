-- keys: due
return call('ZREVRANGE', k_due, 0, 0, 'WITHSCORES')[2] or false
