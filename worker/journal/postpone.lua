-- Put a received event off after trouble in its hydration, or fail it: then people are told, once in a while for each
-- source, since what fails one event (a token that has ended) fails many.
-- ARGV: event id, state ("received" to try again, "failed"), due (ms), error
local TELL_AGAIN_MS = 600000
local id, state, due, problem = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local event = event_key(id)
if redis.call('HGET', event, 'state') ~= 'received' then return end
redis.call('HSET', event, 'state', state, 'error', problem)
redis.call('HINCRBY', event, 'attempts', 1)
if state == 'received' then
  attend('event/' .. id, due + 5000)
  ring('event/' .. id, due)
else
  local now, source = now_ms(), redis.call('HGET', event, 'source')
  redis.call('ZREM', 'ph:open', 'event/' .. id)
  redis.call('ZADD', 'ph:events:failed', now, id)
  age('event/' .. id, now)
  if redis.call('SET', 'ph:told:' .. source, id, 'NX', 'PX', TELL_AGAIN_MS) then
    send({ id = id .. ':failed:' .. now, kind = 'event failed', source = source, at = now, text = problem })
  end
end
