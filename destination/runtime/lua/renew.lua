-- The holder of a lease is alive and goes on.
--
-- ARGV  1 prefix  2 connection  3 lane  4 token  5 lease (ms)
-- Returns 1, or 0 when the lease is no longer ours.

local key = ARGV[1] .. ARGV[2] .. ':lease:' .. ARGV[3]
if redis.call('GET', key) ~= ARGV[4] then
  return 0
end
redis.call('PEXPIRE', key, ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', ARGV[1] .. 'due', now + ARGV[5], ARGV[2] .. '\t' .. ARGV[3])
return 1
