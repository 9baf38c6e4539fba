-- Store accepted events: per event "dedupe id if new, then append to its lanes, make them due".
-- One call for all requests that wait at the same instant; nothing else on the accept path writes.
--
-- ARGV  1 prefix            of every key
--       2 window            seconds of a dedupe window; an id is known for one to two of them
--       3 n                 how many counter increments follow, then n times:
--            source field by        counts[source|field] += by
--       then how many kinds of events there are, then per kind:
--            connection source targets, then per target:
--            lane mapping wait_ms size
--       then, until the end, per event:
--            head, then a row per target of the kind
--                              head: the number of its kind, from 1, two bytes, high one first;
--                                    its dedupe id, 16 bytes;
--                                    a digest of what it says, up to its end, '' for none;
--                                    those of equal length can be compared
-- Returns one letter per event: A accepted, D duplicate, C duplicate in id that says something else.
-- Keys: see store.py.
--
-- This is Redis' share of an event, so little is done per event: what events have in common is told
-- once, and the rows of a lane are pushed together.

local prefix, span = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local window = math.floor(time[1] / span)
local sources = prefix .. 'sources'

local at = 4
for _ = 1, tonumber(ARGV[3]) do
  redis.call('HINCRBY', sources, ARGV[at] .. '|' .. ARGV[at + 1], ARGV[at + 2])
  at = at + 3
end

local short_wait = 2000  -- see SHORT_WAIT in store.py

-- Lanes by their member of the due set, kinds by number; both collect what the events add to them.
local lanes, kinds = {}, {}

local function target_at(own, connection)
  local name, mapping = ARGV[at], ARGV[at + 1]
  local wait, size = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  at = at + 4
  local member = connection .. '\t' .. name
  local lane = lanes[member]
  if not lane then
    lane = {own = own, name = name, key = own .. 'lane:' .. name, rows = {}, length = 0}
    lanes[member] = lane
  end
  return {lane = lane, mapping = mapping, wait = wait, size = size}
end

at = at + 1
for number = 1, tonumber(ARGV[at - 1]) do
  local connection, source, targets = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  at = at + 3
  local own = prefix .. connection .. ':'
  local kind = {
    own = own, source = source, targets = {}, accepted = 0, duplicate = 0, conflicting = 0,
    current = own .. 'seen:' .. window .. ':', before = own .. 'seen:' .. (window - 1) .. ':',
  }
  for place = 1, targets do
    kind.targets[place] = target_at(own, connection)
  end
  kinds[number] = kind
end

local function push(lane)
  if lane.rows[1] then
    lane.length = redis.call('RPUSH', lane.key, unpack(lane.rows))
    lane.rows = {}
  end
end

local answer = {}
while at <= #ARGV do
  local head = ARGV[at]
  local high, low, _, _, third, fourth = head:byte(1, 6)
  local kind, digest, content = kinds[high * 256 + low], head:sub(3, 18), head:sub(19)
  local targets = kind.targets
  local bucket = third % 16 * 256 + fourth  -- see dedupe_place in store.py
  local current, before = kind.current .. bucket, kind.before .. bucket
  local held = redis.call('HGET', before, digest)
  if not held and redis.call('HSETNX', current, digest, content) == 0 then
    held = redis.call('HGET', current, digest)
  end
  if held then
    kind.duplicate = kind.duplicate + 1
    if held == content or #held ~= #content then  -- told in different ways, or not at all
      answer[#answer + 1] = 'D'
    else
      answer[#answer + 1] = 'C'
      kind.conflicting = kind.conflicting + 1
    end
  else
    if redis.call('HLEN', current) == 1 then
      redis.call('EXPIRE', current, 2 * span)
    end
    answer[#answer + 1] = 'A'
    kind.accepted = kind.accepted + 1
    for place = 1, #targets do
      local lane = targets[place].lane
      lane.rows[#lane.rows + 1] = ARGV[at + place]
      if #lane.rows == 1000 then  -- Lua's stack holds no more than about 8,000
        push(lane)
      end
    end
  end
  at = at + 1 + #targets
end

local function add(key, field, by)
  if by > 0 then
    redis.call('HINCRBY', key, field, by)
  end
end

for _, kind in ipairs(kinds) do
  add(sources, kind.source .. '|duplicate', kind.duplicate)
  add(sources, kind.source .. '|conflicting', kind.conflicting)
  add(sources, kind.source .. '|accepted', kind.accepted)
  if kind.accepted > 0 then
    for _, target in ipairs(kind.targets) do
      add(kind.own .. 'counts', target.mapping .. '|accepted', kind.accepted)
      add(kind.own .. 'counts', target.mapping .. '|pending', kind.accepted)
      local lane = target.lane
      lane.wait = math.min(target.wait, lane.wait or target.wait)
      lane.size = math.min(target.size, lane.size or target.size)
    end
  end
end

for member, lane in pairs(lanes) do
  if lane.wait then
    push(lane)
    local own, name = lane.own, lane.name
    redis.call('SADD', prefix .. 'lanes', member)
    -- A lane that waits for a pause or for its worker keeps the time that those have set.
    if redis.call('EXISTS', own .. 'hold:' .. name, own .. 'lease:' .. name,
        own .. 'handed:' .. name, own .. 'halt') > 0 then
      redis.call('ZADD', prefix .. 'due', 'NX', now + lane.wait, member)
    elseif lane.length >= lane.size or (lane.wait <= short_wait
        and redis.call('EXISTS', own .. 'patient:' .. name) == 0) then
      redis.call('ZADD', prefix .. 'due', 'LT', now, member)
    else
      redis.call('ZADD', prefix .. 'due', 'LT', now + lane.wait, member)
    end
  end
end

return table.concat(answer)
