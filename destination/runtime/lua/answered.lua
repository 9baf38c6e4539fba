-- A granted call has its answer: from now on it counts for one window more.
--
-- KEYS  1 calls  2 pause  3 left  4 probe   (as in acquire.lua)
-- ARGV  1 call id  2 pause (ms, 0 for none)  3 reason, then, where the answer told of its window:
--       4 calls it allows  5 remaining  6 ms until it ends  7 its length (ms)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZADD', KEYS[1], 'XX', now, ARGV[1])
local pause = tonumber(ARGV[2])
if pause > 0 then
  if redis.call('PTTL', KEYS[2]) < pause then
    redis.call('SET', KEYS[2], ARGV[3], 'PX', pause)
  end
  redis.call('SET', KEYS[4], '', 'PX', pause + 60000)
elseif redis.call('GET', KEYS[4]) == ARGV[1] then
  redis.call('DEL', KEYS[4])
end

-- Fewer remain than our own calls explain: others use the account. Those of ours that are under way
-- may not be in that number yet.
if ARGV[5] and ARGV[4] - ARGV[5] > redis.call('ZCOUNT', KEYS[1], now - ARGV[7], '+inf') then
  local left = math.max(0, ARGV[5] - redis.call('ZCOUNT', KEYS[1], '(' .. now, '+inf'))
  if left < tonumber(redis.call('GET', KEYS[3]) or left + 1) then
    redis.call('SET', KEYS[3], left, 'PX', ARGV[6])
  end
end
return 1
