-- Note that the examination of a day is made, and alert people of what it found.
-- ARGV: day, findings by kind (JSON), what to say ('' for nothing)
local day, counts, text = ARGV[1], ARGV[2], ARGV[3]
if day <= (redis.call('HGET', 'ph:examined', 'day') or '') then return end -- noted before
redis.call('HSET', 'ph:examined', 'day', day, 'counts', counts)
if text ~= '' then
  send({ id = 'examination:' .. day, kind = 'data quality', source = 'HaloPSA', at = now_ms(), text = text })
end
