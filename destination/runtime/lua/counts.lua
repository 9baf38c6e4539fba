-- All counts of all connections at one instant. `pending` is not derived from the others: it is
-- counted where the rows stand.
--
-- ARGV  1 prefix, then the connections
-- Returns {sources (flat hash), then per connection {name, counts (flat hash), pending (flat list)}}

local prefix = ARGV[1]
local answer = {redis.call('HGETALL', prefix .. 'sources')}
local pending = {}
for _, lane in ipairs(redis.call('SMEMBERS', prefix .. 'lanes')) do
  local connection, mapping = lane:match('^(.-)\t(.*)$')
  local own = prefix .. connection .. ':'
  local rows = redis.call('LLEN', own .. 'lane:' .. mapping)
  for _, person in ipairs(redis.call('ZRANGE', own .. 'parked:' .. mapping, 0, -1)) do
    rows = rows + redis.call('LLEN', own .. 'chain:' .. mapping .. ':' .. person)
  end
  for _, job in ipairs(redis.call('ZRANGE', own .. 'jobs:' .. mapping, 0, -1)) do
    rows = rows + redis.call('LLEN', own .. 'job:' .. mapping .. ':' .. job)
  end
  pending[connection] = pending[connection] or {}
  table.insert(pending[connection], mapping)
  table.insert(pending[connection], rows)
end
for i = 2, #ARGV do
  local name = ARGV[i]
  table.insert(answer, {name, redis.call('HGETALL', prefix .. name .. ':counts'), pending[name] or {}})
end
return answer
