-- Put a received event off after trouble in its hydration, or fail it.
-- ARGV: event id, state ("received" to try again, "failed"), due (ms), error
local id, state, due, problem = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local event = event_key(id)
if redis.call('HGET', event, 'state') ~= 'received' then return end
redis.call('HSET', event, 'state', state, 'error', problem)
redis.call('HINCRBY', event, 'attempts', 1)
if state == 'received' then
  attend('event/' .. id, due + 5000)
  ring('event/' .. id, due)
else
  redis.call('ZREM', 'ph:open', 'event/' .. id)
  age('event/' .. id, now_ms())
end
