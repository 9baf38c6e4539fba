-- Take rows out of the middle of a list of a lane and count them as erased. Only the holder of the
-- lease may: nobody else moves the rows then, they only append.
--
-- ARGV  1 prefix  2 connection  3 lane  4 token  5 list ('lane:L', 'chain:L:P' or 'job:L:J')
--       6 person ('' or whose chain it is)  then per row: place in the list  mapping
-- Returns 1, or 0 when the lease is no longer ours and nothing was done.

local own, name = ARGV[1] .. ARGV[2] .. ':', ARGV[3]
if redis.call('GET', own .. 'lease:' .. name) ~= ARGV[4] then
  return 0
end
local list, person, gone = own .. ARGV[5], ARGV[6], '\0'
local keys, keyed = string.gsub(ARGV[5], '^job:', 'keys:')  -- of a job's rows, each at the same place
keys = own .. keys
if redis.call('EXISTS', keys) == 0 then  -- an earlier version wrote each before its row
  keyed = 0
end
for at = 7, #ARGV, 2 do
  redis.call('LSET', list, ARGV[at], gone)
  if keyed == 1 then
    redis.call('LSET', keys, ARGV[at], gone)
  end
  redis.call('HINCRBY', own .. 'counts', ARGV[at + 1] .. '|pending', -1)
  redis.call('HINCRBY', own .. 'counts', ARGV[at + 1] .. '|dropped', 1)
  redis.call('HINCRBY', own .. 'counts', ARGV[at + 1] .. '|dropped:erased', 1)
end
redis.call('LREM', list, 0, gone)
redis.call('LREM', keys, 0, gone)
local parked = own .. 'parked:' .. name
if person ~= '' and redis.call('EXISTS', list) == 0
    and redis.call('ZSCORE', parked, person) ~= 'inf' then
  redis.call('ZREM', parked, person)
end
return 1
