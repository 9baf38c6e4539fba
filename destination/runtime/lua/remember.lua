-- Tell times: of each key the latest is kept. The oldest go first when there are too many.
--
-- KEYS  1 sorted set: key -> time
-- ARGV  1 earliest time that is kept   2 how many are kept at the most   then time, key, ...
redis.call('ZADD', KEYS[1], 'GT', unpack(ARGV, 3))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -ARGV[2] - 1)
