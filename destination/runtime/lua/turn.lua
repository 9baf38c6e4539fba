-- Take a turn that only one process may have at a time.
--
-- KEYS  1 turn  ARGV  1 how long it lasts (ms)
-- Returns 1, or 0 when another one has it.

return redis.call('SET', KEYS[1], 1, 'NX', 'PX', ARGV[1]) and 1 or 0
