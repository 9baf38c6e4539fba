-- A granted call has its answer: from now on it counts for one window more.
--
-- KEYS  1 calls  2 pause   (as in acquire.lua)
-- ARGV  1 call id  2 pause (ms, 0 for none)  3 reason

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], 'XX', now, ARGV[1])
local pause = tonumber(ARGV[2])
if pause > 0 and redis.call('PTTL', KEYS[2]) < pause then
  redis.call('SET', KEYS[2], ARGV[3], 'PX', pause)
end
return 1
