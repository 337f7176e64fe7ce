-- Alert people of something that does not work for a source, once until it works again.
-- ARGV: what does not work, source, what to say ('' if it works)
local kind, source, text = ARGV[1], ARGV[2], ARGV[3]
local name = kind .. ':' .. source
if text == '' then redis.call('HDEL', 'ph:troubles', name) return end
if redis.call('HSETNX', 'ph:troubles', name, text) == 0 then return end
local now = now_ms()
send({ id = name .. ':' .. now, kind = kind, source = source, at = now, text = text })
