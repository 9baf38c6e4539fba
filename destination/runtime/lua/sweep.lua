-- Make every lane due that has work and no due time. Nothing should ever need it: it stands behind
-- lost keys and future mistakes.
--
-- ARGV  1 prefix
-- Returns how many lanes it put back.

local prefix = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = 0
for _, lane in ipairs(redis.call('SMEMBERS', prefix .. 'lanes')) do
  local connection, name = lane:match('^(.-)\t(.*)$')
  local own = prefix .. connection .. ':'
  if not redis.call('ZSCORE', prefix .. 'due', lane)
      and redis.call('EXISTS', own .. 'lane:' .. name, own .. 'parked:' .. name,
                     own .. 'jobs:' .. name) > 0 then
    redis.call('ZADD', prefix .. 'due', now, lane)
    found = found + 1
  end
end
return found
