-- All counts of all connections at one instant, and how many rows stand in the lanes: counted
-- there, not derived, so that the two can be held against each other.
--
-- ARGV  1 prefix  2 audit: '1' to count the rows where they stand (slow with many people waiting),
--       then the connections
-- Returns {sources (flat hash), then per connection {name, counts (flat hash), standing rows or -1, dead letters}}

local prefix = ARGV[1]
local answer = {redis.call('HGETALL', prefix .. 'sources')}
local standing = {}
for _, lane in ipairs(ARGV[2] == '1' and redis.call('SMEMBERS', prefix .. 'lanes') or {}) do
  local connection, name = lane:match('^(.-)\t(.*)$')
  local own = prefix .. connection .. ':'
  local rows = redis.call('LLEN', own .. 'lane:' .. name)
  for _, person in ipairs(redis.call('ZRANGE', own .. 'parked:' .. name, 0, -1)) do
    rows = rows + redis.call('LLEN', own .. 'chain:' .. name .. ':' .. person)
  end
  for _, job in ipairs(redis.call('ZRANGE', own .. 'jobs:' .. name, 0, -1)) do
    rows = rows + redis.call('LLEN', own .. 'job:' .. name .. ':' .. job)
  end
  standing[connection] = (standing[connection] or 0) + rows
end
for i = 3, #ARGV do
  local name = ARGV[i]
  table.insert(answer, {
    name,
    redis.call('HGETALL', prefix .. name .. ':counts'),
    ARGV[2] == '1' and (standing[name] or 0) or -1,
    redis.call('HLEN', prefix .. name .. ':dead'),
  })
end
return answer
