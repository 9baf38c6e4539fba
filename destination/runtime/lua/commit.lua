-- Record what became of rows read from the head of a lane, or of the rows of a job: in one step
-- each row leaves where it was and stands where it belongs. Only the holder of the lease may.
--
-- ARGV  1 prefix  2 connection  3 lane  4 token  5 lease (ms)
--       6 taken    rows to cut from the head of the lane
--       7 job      '' or the job whose rows these are (its list is deleted)
--       8 recent   how many entries the log of recent deliveries keeps at the least
--       9 moves    rows that go on as they are: so many times, in the order of the lane,
--                    gap    rows after those before that do not
--                    rows   how many do
--                    'job' job or 'chain' person   at the end of which list they wait from now on
--       then operations until the end:
--         'front' row                     back to the head, keeping the order given
--         'park'  person wait_ms first row   behind its person; first = 1 puts it before those waiting
--                                         (a person who waits for a job goes on waiting for it)
--         'free'  people then each        nothing of these people is under way any more
--         'dead'  id record               a dead letter
--         'count' mapping field by        counts[mapping|field] += by
--         'log'   rows entries            so many, a line each, into the log of recent deliveries
--         'sent'  job rows then for each: person key   under what the rows that go on to a job were
--                                         submitted; their people wait for it
--         'poll'  job wait_ms             ask for the job then
--         'hold'  wait_ms reason          the lane waits
--         'patient' wait_ms               rows that find the lane idle wait for company
--         'halt'  wait_ms reason          the connection waits
-- Returns 1, or 0 when the lease was lost and nothing was done.

local prefix, connection, name, token, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local own = prefix .. connection .. ':'
local held = own .. 'lease:' .. name
if redis.call('GET', held) ~= token then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('PEXPIRE', held, lease)
redis.call('ZADD', prefix .. 'due', now + lease, connection .. '\t' .. name)

redis.call('HDEL', own .. 'begun', name)
local lane, parked, counts = own .. 'lane:' .. name, own .. 'parked:' .. name, own .. 'counts'
local jobs, log = own .. 'jobs:' .. name, own .. 'deliveries'
local taken, job, recent = tonumber(ARGV[6]), ARGV[7], tonumber(ARGV[8])

-- Rows that nothing has changed never leave Redis, and need not be sent back to it.
local at, behind = 10, {}
for _ = 1, tonumber(ARGV[9]) do
  local gap, rows, kind, key = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 3]
  local list = own .. kind .. ':' .. name .. ':' .. key
  if gap > 0 then
    redis.call('LTRIM', lane, gap, -1)
  end
  for _ = 1, rows do
    redis.call('LMOVE', lane, list, 'LEFT', 'RIGHT')
  end
  if kind == 'chain' then
    behind[#behind + 1] = now
    behind[#behind + 1] = key
  end
  taken = taken - gap - rows
  at = at + 4
end
if taken > 0 then
  redis.call('LTRIM', lane, taken, -1)
end
if job ~= '' then
  redis.call('DEL', own .. 'job:' .. name .. ':' .. job, own .. 'keys:' .. name .. ':' .. job)
  redis.call('ZREM', jobs, job)
end

-- What the operations add to the same key is written together, after all of them were read: rows of
-- one job, their people, people who are free and rows for the head, none of which looks at another.
local front, free, waiting, sent, buried = {}, {}, {}, {}, 0

local function together(values, ...)
  local command = {...}
  local words = #command
  for first = 1, #values, 1000 do  -- Lua's stack holds no more than about 8,000
    for i = 0, 999 do
      command[words + 1 + i] = values[first + i]
    end
    redis.call(unpack(command))
  end
end

local function set_free(first, last)
  local chains = {}
  for i = first, last do
    chains[#chains + 1] = own .. 'chain:' .. name .. ':' .. free[i]
  end
  if redis.call('EXISTS', unpack(chains)) == 0 then
    redis.call('ZREM', parked, unpack(free, first, last))
  elseif first == last then
    redis.call('ZADD', parked, 'LT', now, free[first])
  else
    local middle = math.floor((first + last) / 2)
    set_free(first, middle)
    set_free(middle + 1, last)
  end
end

-- How many entries there ever were up to those of an element of the log.
local function ever(place)
  local element = redis.call('LINDEX', log, place)
  return tonumber(element and element:match('^%d+')) or 0
end

local function note(rows, entries)
  redis.call('DEL', own .. 'recent')  -- that of an earlier version, which could not read this one
  local all = ever(0) + rows
  redis.call('LPUSH', log, string.format('%d\n', all) .. entries)
  local oldest = ever(-1)
  while all - oldest >= recent do
    redis.call('RPOP', log)
    oldest = ever(-1)
  end
end

while at <= #ARGV do
  local what = ARGV[at]
  if what == 'front' then
    front[#front + 1] = ARGV[at + 1]
    at = at + 2
  elseif what == 'park' then
    local person, first, row = ARGV[at + 1], ARGV[at + 3], ARGV[at + 4]
    local chain = own .. 'chain:' .. name .. ':' .. person
    if first == '1' then
      redis.call('LPUSH', chain, row)
      if job ~= '' or redis.call('ZSCORE', parked, person) ~= 'inf' then
        redis.call('ZADD', parked, now + ARGV[at + 2], person)
      end
    else
      redis.call('RPUSH', chain, row)
      redis.call('ZADD', parked, 'NX', now + ARGV[at + 2], person)
    end
    at = at + 5
  elseif what == 'free' then
    local first, people = at + 1, tonumber(ARGV[at + 1])
    for i = 1, people do
      free[#free + 1] = ARGV[first + i]
    end
    at = first + people + 1
  elseif what == 'dead' then
    local id, again = ARGV[at + 1], 2
    while redis.call('HEXISTS', own .. 'dead', id) == 1 do
      id = ARGV[at + 1] .. '#' .. again
      again = again + 1
    end
    redis.call('HSET', own .. 'dead', id, ARGV[at + 2])
    -- Letters of one commit keep their order, in which they are listed and replayed.
    redis.call('ZADD', own .. 'dead:order', string.format('%.3f', now + buried / 1000), id)
    buried = buried + 1
    at = at + 3
  elseif what == 'count' then
    redis.call('HINCRBY', counts, ARGV[at + 1] .. '|' .. ARGV[at + 2], ARGV[at + 3])
    at = at + 4
  elseif what == 'log' then
    note(tonumber(ARGV[at + 1]), ARGV[at + 2])
    at = at + 3
  elseif what == 'sent' then
    local keys, rows = {}, tonumber(ARGV[at + 2])
    sent[ARGV[at + 1]] = keys
    for i = 1, rows do
      at = at + 2
      waiting[#waiting + 1] = 'inf'
      waiting[#waiting + 1] = ARGV[at + 1]
      keys[i] = ARGV[at + 2]
    end
    at = at + 3
  elseif what == 'poll' then
    redis.call('ZADD', jobs, now + ARGV[at + 2], ARGV[at + 1])
    at = at + 3
  elseif what == 'hold' then
    redis.call('SET', own .. 'hold:' .. name, ARGV[at + 2], 'PX', ARGV[at + 1])
    at = at + 3
  elseif what == 'patient' then
    redis.call('SET', own .. 'patient:' .. name, 1, 'PX', ARGV[at + 1])
    at = at + 2
  elseif what == 'halt' then
    redis.call('HSET', own .. 'halt', 'reason', ARGV[at + 2])
    redis.call('HSETNX', own .. 'halt', 'since', now)
    -- Who hears the same a little later must not put the question off.
    redis.call('HSETNX', own .. 'halt', 'probe_at', now + ARGV[at + 1])
    at = at + 3
  else
    return redis.error_reply('unknown operation ' .. what)
  end
end

for submitted, keys in pairs(sent) do
  together(keys, 'RPUSH', own .. 'keys:' .. name .. ':' .. submitted)
end
together(waiting, 'ZADD', parked)
together(behind, 'ZADD', parked, 'NX')
for first = 1, #free, 1000 do
  set_free(first, math.min(first + 999, #free))
end
local backwards = {}
for i = #front, 1, -1 do
  backwards[#backwards + 1] = front[i]
end
together(backwards, 'LPUSH', lane)
return 1
