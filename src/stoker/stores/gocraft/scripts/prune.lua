-- keys: dead
-- Shortens the dead set where that is asked for; gocraft never does.
if ARGV[2] == '0' then return 0 end
return call('ZREMRANGEBYRANK', k_dead, 0, '-' .. (ARGV[2] + 1))
