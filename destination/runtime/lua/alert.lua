-- Keep what a look at everything gave: its sample, which alerts fire, and a notice of each change
-- that nobody else has noted.
--
-- ARGV  1 prefix  2 sample  3 samples to keep  4 notices to keep
--       then per change: 'fire' or 'resolve'  key  alert (JSON)
-- Returns the notices: 'fire' or 'resolve', ms since it fires, ms now, alert, a line each

local firing, notices = ARGV[1] .. 'alerts:firing', ARGV[1] .. 'alerts:notices'
local samples = ARGV[1] .. 'alerts:samples'
redis.call('LPUSH', samples, ARGV[2])
redis.call('LTRIM', samples, 0, ARGV[3] - 1)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for at = 5, #ARGV, 3 do
  local what, key, alert = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local since = redis.call('HGET', firing, key)
  local notice
  if what == 'fire' and not since then
    redis.call('HSET', firing, key, now .. '\n' .. alert)
    notice = {what, now, now, alert}
  elseif what == 'resolve' and since then
    redis.call('HDEL', firing, key)
    notice = {what, since:match('^%d+'), now, alert}
  end
  if notice then
    answer[#answer + 1] = table.concat(notice, '\n')
    redis.call('RPUSH', notices, answer[#answer])
    redis.call('LTRIM', notices, -ARGV[4], -1)
  end
end
return answer
