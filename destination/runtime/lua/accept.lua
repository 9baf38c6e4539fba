-- Store accepted events: per event "dedupe id if new, then append to its lanes, make them due".
-- One call for all requests that wait at the same instant; nothing else on the accept path writes.
--
-- ARGV  1 prefix            of every key
--       2 window            seconds of a dedupe window; an id is known for one to two of them
--       3 n                 how many counter increments follow, then n times:
--            source field by        counts[source|field] += by
--       then, until the end, per event:
--            connection source bucket digest content item targets, then per target:
--            lane mapping wait_ms size
--                              content: a digest of what the event says, '' for none
-- Returns one letter per event: A accepted, D duplicate, C duplicate in id that says something else.
-- Keys: see store.py.

local prefix, span = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = math.floor(time[1] / span)
local sources = prefix .. 'sources'
local answer, counts, touched = {}, {}, {}

local at = 4
for _ = 1, tonumber(ARGV[3]) do
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
  local content, item, targets = ARGV[at + 4], ARGV[at + 5], tonumber(ARGV[at + 6])
  at = at + 7
  local own = prefix .. connection .. ':'
  local current = own .. 'seen:' .. window .. ':' .. bucket
  local before = own .. 'seen:' .. (window - 1) .. ':' .. bucket
  local held = redis.call('HGET', before, digest)
  if not held and redis.call('HSETNX', current, digest, content) == 0 then
    held = redis.call('HGET', current, digest)
  end
  if held then
    count(sources, source .. '|duplicate')
    if held == content or held == '' or content == '' then
      answer[#answer + 1] = 'D'
    else
      answer[#answer + 1] = 'C'
      count(sources, source .. '|conflicting')
    end
    at = at + 4 * targets
  else
    if redis.call('HLEN', current) == 1 then
      redis.call('EXPIRE', current, 2 * span)
    end
    answer[#answer + 1] = 'A'
    count(sources, source .. '|accepted')
    for _ = 1, targets do
      local lane, mapping = ARGV[at], ARGV[at + 1]
      local length = redis.call('RPUSH', own .. 'lane:' .. lane, mapping .. '\n' .. item)
      count(own .. 'counts', mapping .. '|accepted')
      count(own .. 'counts', mapping .. '|pending')
      local member = connection .. '\t' .. lane
      local wait, size = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
      local seen = touched[member]
      if seen then
        wait, size = math.min(wait, seen[3]), math.min(size, seen[4])
      end
      touched[member] = {own, lane, wait, size, length}
      at = at + 4
    end
  end
end

for key, fields in pairs(counts) do
  for field, by in pairs(fields) do
    redis.call('HINCRBY', key, field, by)
  end
end

for member, seen in pairs(touched) do
  local own, lane, wait, size, length = seen[1], seen[2], seen[3], seen[4], seen[5]
  redis.call('SADD', prefix .. 'lanes', member)
  -- A lane that waits for a pause or for its worker keeps the time that those have set.
  if redis.call('EXISTS', own .. 'hold:' .. lane, own .. 'lease:' .. lane, own .. 'halt') > 0 then
    redis.call('ZADD', prefix .. 'due', 'NX', now + wait, member)
  elseif length >= size then
    redis.call('ZADD', prefix .. 'due', 'LT', now, member)
  else
    redis.call('ZADD', prefix .. 'due', 'LT', now + wait, member)
  end
end

return table.concat(answer)
