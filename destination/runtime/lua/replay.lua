-- Take dead letters out of the store: back into their lane, or dropped for good.
--
-- ARGV  1 prefix  2 connection  3 how: 'replay', 'discard' or 'erase', then per letter:
--       id mapping lane row  (lane and row are '' unless they are replayed)
-- Returns how many letters were there and are moved; one that is already gone counts for nothing.

local prefix, connection, how = ARGV[1], ARGV[2], ARGV[3]
local own = prefix .. connection .. ':'
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reason = how == 'erase' and '|dropped:erased' or '|dropped:discarded'
local moved = 0
for at = 4, #ARGV, 4 do
  local id, mapping, lane = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if redis.call('HDEL', own .. 'dead', id) == 1 then
    moved = moved + 1
    redis.call('ZREM', own .. 'dead:order', id)
    redis.call('HINCRBY', own .. 'counts', mapping .. '|dead', -1)
    if how == 'replay' then
      redis.call('HINCRBY', own .. 'counts', mapping .. '|pending', 1)
      redis.call('RPUSH', own .. 'lane:' .. lane, ARGV[at + 3])
      redis.call('SADD', prefix .. 'lanes', connection .. '\t' .. lane)
      local waits = redis.call('EXISTS', own .. 'hold:' .. lane, own .. 'lease:' .. lane, own .. 'halt')
      redis.call('ZADD', prefix .. 'due', waits > 0 and 'NX' or 'LT', now, connection .. '\t' .. lane)
    else
      redis.call('HINCRBY', own .. 'counts', mapping .. '|dropped', 1)
      redis.call('HINCRBY', own .. 'counts', mapping .. reason, 1)
    end
  end
end
return moved
