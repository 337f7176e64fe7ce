-- Let an event be routed anew.
-- ARGV: event id
-- Returns 'ok', 'unknown', or what stands against it
local id = ARGV[1]
local event = event_key(id)
local state, runs = unpack(redis.call('HMGET', event, 'state', 'runs'))
if not state then return 'unknown' end
for _, run in ipairs(cjson.decode(runs or '[]')) do
  local run_state = redis.call('HGET', run_key(run), 'state')
  if run_state and not ENDED[run_state] then return 'its run ' .. run .. ' is ' .. run_state end
  if run_state == 'failed' then return 'its run ' .. run .. ' is failed: retry that one' end
end
local now = now_ms()
redis.call('HSET', event, 'state', 'received', 'received', now)
redis.call('HDEL', event, 'runs', 'reason', 'error', 'repeats', 'attempts')
redis.call('ZREM', 'ph:ended', 'event/' .. id)
attend('event/' .. id, now + 5000)
ring('event/' .. id, now)
return 'ok'
