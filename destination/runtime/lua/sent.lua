-- What was sent last under each key: "~digest" while it is on its way, "digest" once delivered.
--
-- KEYS  one for each digest
-- ARGV  1 what  2 seconds to live  then a digest for each key:
--       'sending'    it is on its way; whatever was known before is not so any more
--       'delivered'  it has arrived, if nothing was sent since
--       'confirm'    whatever is on its way has arrived (digests are not looked at)
for place, key in ipairs(KEYS) do
  local digest = ARGV[place + 2]
  if ARGV[1] == 'sending' then
    redis.call('SET', key, '~' .. digest, 'EX', ARGV[2])
  else
    local known = redis.call('GET', key)
    if known and known:sub(1, 1) == '~' and (ARGV[1] == 'confirm' or known == '~' .. digest) then
      redis.call('SET', key, known:sub(2), 'EX', ARGV[2])
    end
  end
end
