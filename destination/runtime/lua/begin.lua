-- Take the lease of a lane and put back what was parked and is due.
--
-- ARGV  1 prefix  2 connection  3 lane  4 token  5 lease (ms)
-- Returns  {'taken', crashes, due jobs...}  the lease is ours; so many workers took it in a row and
--                                  died; these jobs at Klaviyo are to be polled
--          {'leased'}              another worker has it
--          {'held'}                the lane waits; it is due again when it may go on
--          {'halted', probe}       the connection is paused; probe is 1 when it is our turn to ask

local prefix, connection, name, token, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local own = prefix .. connection .. ':'
local due, member = prefix .. 'due', connection .. '\t' .. name
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

redis.call('DEL', own .. 'handed:' .. name)
local halt = redis.call('HGET', own .. 'halt', 'probe_at')
if halt then
  local turn = 0
  if tonumber(halt) <= now then
    turn = 1
    halt = now + 60000
    redis.call('HSET', own .. 'halt', 'probe_at', halt)
  end
  redis.call('ZADD', due, halt, member)
  return {'halted', turn}
end

local held = redis.call('PTTL', own .. 'hold:' .. name)
if held > 0 then
  redis.call('ZADD', due, now + held, member)
  return {'held'}
end

if not redis.call('SET', own .. 'lease:' .. name, token, 'NX', 'PX', lease) then
  return {'leased'}
end
redis.call('ZADD', due, now + lease, member)

local lane, parked = own .. 'lane:' .. name, own .. 'parked:' .. name
for _, person in ipairs(redis.call('ZRANGEBYSCORE', parked, '-inf', now, 'LIMIT', 0, 1000)) do
  local chain = own .. 'chain:' .. name .. ':' .. person
  while redis.call('LMOVE', chain, lane, 'RIGHT', 'LEFT') do end
  redis.call('ZREM', parked, person)
end

local jobs = redis.call('ZRANGEBYSCORE', own .. 'jobs:' .. name, '-inf', now, 'LIMIT', 0, 20)
-- Whoever lives on says so, by a commit or by giving the lane back (see there).
table.insert(jobs, 1, redis.call('HINCRBY', own .. 'begun', name, 1) - 1)
table.insert(jobs, 1, 'taken')
return jobs
