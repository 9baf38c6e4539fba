-- Take the lease of a lane for something else than delivering: whatever the lane waits for, and
-- with a hold, so that no worker takes it in between.
--
-- ARGV  1 prefix  2 connection  3 lane  4 token  5 lease (ms)
-- Returns 1, or 0 while a worker has it: ask again soon.

local own, name = ARGV[1] .. ARGV[2] .. ':', ARGV[3]
local hold = own .. 'hold:' .. name
if redis.call('SET', own .. 'lease:' .. name, ARGV[4], 'NX', 'PX', ARGV[5]) then
  return 1
end
local held = redis.call('GET', hold)
if not held or held == 'seized' then
  redis.call('SET', hold, 'seized', 'PX', ARGV[5])
end
return 0
