-- Take dead letters out of the store: back into their lane, or dropped for good.
--
-- ARGV  1 prefix  2 connection  3 how: 'replay' or 'discard', then per letter: id mapping item
--       (item is '' for discard)
-- Returns how many letters were there and are moved; one that is already gone counts for nothing.

local prefix, connection, how = ARGV[1], ARGV[2], ARGV[3]
local own = prefix .. connection .. ':'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local moved = 0
for at = 4, #ARGV, 3 do
  local id, mapping = ARGV[at], ARGV[at + 1]
  if redis.call('HDEL', own .. 'dead', id) == 1 then
    moved = moved + 1
    redis.call('ZREM', own .. 'dead:order', id)
    redis.call('HINCRBY', own .. 'counts', mapping .. '|dead', -1)
    if how == 'replay' then
      redis.call('RPUSH', own .. 'lane:' .. mapping, ARGV[at + 2])
      redis.call('SADD', prefix .. 'lanes', connection .. '\t' .. mapping)
      redis.call('ZADD', prefix .. 'due', 'NX', now, connection .. '\t' .. mapping)
    else
      redis.call('HINCRBY', own .. 'counts', mapping .. '|dropped', 1)
      redis.call('HINCRBY', own .. 'counts', mapping .. '|dropped:discarded', 1)
    end
  end
end
return moved
