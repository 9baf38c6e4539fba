-- Hand out lanes that are due. A lane is not removed: it becomes due again after the visibility
-- timeout, so that a job that is lost, or a worker that dies, costs time and nothing else. Until a
-- worker takes it, for five seconds at the most, new rows do not make it due again: each would be one
-- more job in front of everybody else's.
--
-- ARGV  1 prefix  2 most (lanes at once)  3 visibility (ms)
-- Returns the lanes ("connection<TAB>mapping").

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = ARGV[1] .. 'due'
local lanes = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, ARGV[2])
for _, lane in ipairs(lanes) do
  redis.call('ZADD', due, now + ARGV[3], lane)
  local connection, name = lane:match('^(.-)\t(.*)$')
  redis.call('SET', ARGV[1] .. connection .. ':handed:' .. name, 1, 'PX', 5000)
end
return lanes
