-- Keep a value where none is kept yet.
--
-- KEYS  1 place  ARGV  1 value
-- Returns the value that is kept.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
