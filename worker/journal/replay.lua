-- Let an event be routed anew.
-- ARGV: event id, who, why
-- Returns 'ok', 'unknown', or what stands against it
local id, actor, reason = unpack(ARGV)
local event = event_key(id)
local state, runs = unpack(redis.call('HMGET', event, 'state', 'runs'))
if not state then return 'unknown' end
for _, run in ipairs(cjson.decode(runs or '[]')) do
  local run_state = redis.call('HGET', run_key(run), 'state')
  if run_state == 'failed' then return 'its run ' .. run .. ' is failed: retry that one' end
  if run_state and run_state ~= 'cancelled' then return 'its run ' .. run .. ' is ' .. run_state end
end
local now = now_ms()
redis.call('HSET', event, 'state', 'received', 'received', now)
redis.call('HDEL', event, 'runs', 'reason', 'error', 'repeats', 'attempts')
redis.call('ZREM', 'ph:ended', 'event/' .. id)
redis.call('ZREM', 'ph:events:failed', id)
redis.call('DEL', 'ph:told:' .. redis.call('HGET', event, 'source')) -- what fails now is news
local history = cjson.decode(redis.call('HGET', event, 'history') or '[]')
local last = history[#history]
if not (state == 'received' and last and last.actor == actor and last.reason == reason) then -- else it is a repeat
  if #history >= HISTORY_KEPT then table.remove(history, 1) end
  history[#history + 1] = { at = now, actor = actor, action = 'replayed', reason = reason }
  redis.call('HSET', event, 'history', cjson.encode(history))
end
attend('event/' .. id, now + 5000)
ring('event/' .. id, now)
return 'ok'
