-- Store events, each once, and ring for each: all or nothing.
-- ARGV: for each event: id, digest, source, type, occurred (ms), body
-- Returns for each event: {1 if it is new else 0, the id it is stored under}
local now = now_ms()
local answers = {}
for i = 1, #ARGV, 6 do
  local id, digest, source, type, occurred, body = unpack(ARGV, i, i + 5)
  local stored = redis.call('HGET', event_key(id), 'digest')
  if stored and stored ~= digest then
    -- The sender used one id for two bodies (a mended repeat): keep both, or the second would be lost in silence.
    id = id .. '~' .. string.sub(digest, 1, 8)
    stored = redis.call('HGET', event_key(id), 'digest')
  end
  if not stored then
    redis.call('HSET', event_key(id), 'source', source, 'type', type, 'occurred', occurred, 'received', now,
      'digest', digest, 'body', body, 'state', 'received')
    redis.call('ZADD', 'ph:events', now, id)
    attend('event/' .. id, now + 5000)
    ring('event/' .. id, now)
  end
  answers[#answers + 1] = { stored and 0 or 1, id }
end
return answers
