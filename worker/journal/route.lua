-- Turn a received event into runs, or close it with a reason. Routing twice starts nothing twice.
-- ARGV: event id, body after hydration ('' = unchanged), reason if nothing wants it, routes (JSON array of
--       {run, workflow, version, fact, keys, client, occurred}), names (JSON array) under which runs may await it
-- Returns the ids of the event's runs.
local id, body, reason, routes = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local event = event_key(id)
local state, runs = unpack(redis.call('HMGET', event, 'state', 'runs'))
if not state then return {} end
if state ~= 'received' then return cjson.decode(runs or '[]') end
local now = now_ms()
local started, repeats = {}, nil
for _, route in ipairs(routes) do
  local fact = 'ph:fact:' .. route.workflow .. ':' .. route.fact
  local earlier = redis.call('GET', fact)
  local earlier_state = earlier and redis.call('HGET', run_key(earlier), 'state')
  -- An earlier run that is gone is in the archive: it succeeded, or it would have taken its fact along.
  if earlier and earlier_state ~= 'failed' and earlier_state ~= 'cancelled' then
    reason, repeats = 'repeats what run ' .. earlier .. ' stands for', earlier
  else
    local run = run_key(route.run)
    redis.call('HSET', run, 'workflow', route.workflow, 'version', route.version, 'event', id, 'fact', route.fact,
      'client', route.client, 'keys', cjson.encode(route.keys), 'occurred', route.occurred, 'created', now,
      'attempt', 1)
    set_state(route.run, 'queued', now)
    redis.call('ZADD', 'ph:runs', now, route.run)
    redis.call('SET', fact, route.run)
    for _, key in ipairs(route.keys) do redis.call('ZADD', queue_key(key), route.occurred, route.run) end
    attend('run/' .. route.run, now + 5000)
    started[#started + 1] = route.run
  end
end
for _, name in ipairs(cjson.decode(ARGV[5])) do
  local awaiting = redis.call('HGETALL', 'ph:awaits:' .. name)
  for i = 1, #awaiting, 2 do
    local other, step = awaiting[i], awaiting[i + 1]
    if wake(other, now) then
      redis.call('HSET', run_key(other), 'a:' .. step, cjson.encode({ event = id }))
      redis.call('HDEL', run_key(other), 'due')
      reason = 'awaited by run ' .. other
    end
  end
  redis.call('DEL', 'ph:awaits:' .. name)
end
if body ~= '' then redis.call('HSET', event, 'body', body) end
if #started > 0 then
  redis.call('HSET', event, 'state', 'routed', 'runs', cjson.encode(started))
else
  redis.call('HSET', event, 'state', 'ignored', 'reason', reason)
  age('event/' .. id, now)
  if repeats then redis.call('HSET', event, 'repeats', repeats) end
end
redis.call('HDEL', event, 'error') -- trouble that has passed
redis.call('ZREM', 'ph:open', 'event/' .. id)
return started
