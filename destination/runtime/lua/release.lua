-- Give the lease back and say when the lane is due next: now, when something is due, or never.
--
-- ARGV  1 prefix  2 connection  3 lane  4 token  5 pause (ms; 0 for none): a fault of ours stopped
--       the work, which counts like a death (see begin.lua) and makes the lane wait
-- Returns 1, or 0 when the lease was no longer ours.

local prefix, connection, name = ARGV[1], ARGV[2], ARGV[3]
local own = prefix .. connection .. ':'
if redis.call('GET', own .. 'lease:' .. name) ~= ARGV[4] then
  return 0
end
redis.call('DEL', own .. 'lease:' .. name)
if ARGV[5] == '0' then
  redis.call('HDEL', own .. 'begun', name)
else
  redis.call('SET', own .. 'hold:' .. name, 'internal_error', 'PX', ARGV[5])
end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due, member = prefix .. 'due', connection .. '\t' .. name
local soonest = nil
if redis.call('EXISTS', own .. 'lane:' .. name) == 1 then
  soonest = now
else
  for _, key in ipairs({own .. 'parked:' .. name, own .. 'jobs:' .. name}) do
    local first = redis.call('ZRANGEBYSCORE', key, '-inf', '(inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if first[2] and (not soonest or tonumber(first[2]) < soonest) then
      soonest = tonumber(first[2])
    end
  end
end
local held = redis.call('PTTL', own .. 'hold:' .. name)
if soonest and held > 0 and soonest < now + held then
  soonest = now + held
end
if soonest then
  redis.call('ZADD', due, soonest, member)
else
  redis.call('ZREM', due, member)
end
return 1
