-- Alert people of a source that was not heard for too long, once for each silence.
-- ARGV: source, how long is too long (ms), what to say
-- Returns 1 if it alerted
local source, limit, text = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now = now_ms()
redis.call('ZADD', 'ph:listening', 'NX', now, source)
local since = redis.call('ZSCORE', 'ph:heard', source) or redis.call('ZSCORE', 'ph:listening', source)
if now - since <= limit or redis.call('HGET', 'ph:silent', source) == since then return 0 end
redis.call('HSET', 'ph:silent', source, since)
send({ id = source .. ':silent:' .. since, kind = 'source silent', source = source, at = now, text = text })
return 1
