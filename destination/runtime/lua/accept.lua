-- Store accepted events: per event "dedupe id if new, then append to its lanes, make them due".
-- One call for all requests that wait at the same instant; nothing else on the accept path writes.
--
-- ARGV  1 prefix            of every key
--       2 window            number of the current dedupe window
--       3 ttl               seconds that a dedupe bucket lives (two windows)
--       4 n                 how many counter increments follow, then n times:
--            source field by        counts[source|field] += by
--       then, until the end, per event:
--            connection source bucket digest item lanes, then per lane: mapping wait_ms size
-- Returns one letter per event: A accepted, D duplicate.
-- Keys: see store.py.

local prefix, window, ttl = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local sources = prefix .. 'sources'
local answer, counts, touched = {}, {}, {}

local at = 5
for _ = 1, tonumber(ARGV[4]) do
  redis.call('HINCRBY', sources, ARGV[at] .. '|' .. ARGV[at + 1], ARGV[at + 2])
  at = at + 3
end

local function count(key, field)
  local fields = counts[key]
  if not fields then
    fields = {}
    counts[key] = fields
  end
  fields[field] = (fields[field] or 0) + 1
end

while at <= #ARGV do
  local connection, source, bucket, digest = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local item, lanes = ARGV[at + 4], tonumber(ARGV[at + 5])
  at = at + 6
  local own = prefix .. connection .. ':'
  local current = own .. 'seen:' .. window .. ':' .. bucket
  local before = own .. 'seen:' .. (window - 1) .. ':' .. bucket
  if redis.call('HEXISTS', before, digest) == 1 or redis.call('HSETNX', current, digest, '') == 0 then
    answer[#answer + 1] = 'D'
    count(sources, source .. '|duplicate')
    at = at + 3 * lanes
  else
    if redis.call('HLEN', current) == 1 then
      redis.call('EXPIRE', current, ttl)
    end
    answer[#answer + 1] = 'A'
    count(sources, source .. '|accepted')
    for _ = 1, lanes do
      local mapping = ARGV[at]
      local length = redis.call('RPUSH', own .. 'lane:' .. mapping, item)
      count(own .. 'counts', mapping .. '|accepted')
      touched[connection .. '\t' .. mapping] = {
        own, mapping, tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), length,
      }
      at = at + 3
    end
  end
end

for key, fields in pairs(counts) do
  for field, by in pairs(fields) do
    redis.call('HINCRBY', key, field, by)
  end
end

for lane, seen in pairs(touched) do
  local own, mapping, wait, size, length = seen[1], seen[2], seen[3], seen[4], seen[5]
  redis.call('SADD', prefix .. 'lanes', lane)
  -- A lane that waits for a pause or for its worker keeps the time that those have set.
  if redis.call('EXISTS', own .. 'hold:' .. mapping, own .. 'lease:' .. mapping) > 0 then
    redis.call('ZADD', prefix .. 'due', 'NX', now + wait, lane)
  elseif length >= size then
    redis.call('ZADD', prefix .. 'due', 'LT', now, lane)
  else
    redis.call('ZADD', prefix .. 'due', 'LT', now + wait, lane)
  end
end

return table.concat(answer)
