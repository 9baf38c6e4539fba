-- A part of the installation lives.
--
-- KEYS  1 beats (hash: part -> ms at which it was heard last)  ARGV  1 part

local time = redis.call('TIME')
return redis.call('HSET', KEYS[1], ARGV[1], time[1] * 1000 + math.floor(time[2] / 1000))
