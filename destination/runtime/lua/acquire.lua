-- Ask for a place in an operation's rate-limit windows, shared by all workers of the account.
--
-- Klaviyo counts calls in fixed windows whose start we do not know. A call therefore counts from
-- the moment it is granted until one whole window after its answer came: then no window of any
-- alignment can hold more calls than allowed, whatever the network's delay.
--
-- KEYS  1 calls (zset: call id -> ms at which it was answered, or will have been at the latest)
--       2 pause (string with a TTL: the operation waits, value is the reason)
--       3 left (string with a TTL: what others who use the account leave us of a window)
--       4 probe (string with a TTL: after a pause one call goes alone; empty until there is one, then
--         its id)
-- ARGV  1 call id  2 deadline (ms that the call may take at most)  then per window: calls seconds
-- Returns the ms to wait before asking again, or, when granted, 0 less the share of the minute that
-- is used, in thousandths.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local paused = redis.call('PTTL', KEYS[2])
if paused > 0 then
  return paused
end
local left, probe = unpack(redis.call('MGET', KEYS[3], KEYS[4]))
if left and tonumber(left) <= 0 then
  return math.max(1, redis.call('PTTL', KEYS[3]))
end
if probe and probe ~= '' then
  return 100
end
local longest, wait, share = 0, 0, 0
for at = 3, #ARGV, 2 do
  local calls, span = tonumber(ARGV[at]), tonumber(ARGV[at + 1]) * 1000
  longest = math.max(longest, span)
  local used = redis.call('ZCOUNT', KEYS[1], now - span, '+inf')
  if span == 60000 then
    share = math.floor(1000 * used / calls)
  end
  if used >= calls then
    local first = redis.call('ZRANGEBYSCORE', KEYS[1], now - span, '+inf', 'WITHSCORES',
                             'LIMIT', used - calls, 1)
    wait = math.max(wait, math.min(tonumber(first[2]), now) + span - now + 1)
  end
end
if wait > 0 then
  return math.ceil(wait)
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - longest - 1)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], longest + ARGV[2])
if left then
  redis.call('DECR', KEYS[3])
end
if probe then
  redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[2])
end
return -share
