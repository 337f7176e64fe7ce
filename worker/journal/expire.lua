-- Delete what ended before a time and stands in the archive. What has been taken up again since is left alone.
-- ARGV: time (ms), "run/<id>" or "event/<id>" …
-- Returns how many
local before = tonumber(ARGV[1])

local function forget_event(id)
  redis.call('UNLINK', event_key(id))
  redis.call('ZREM', 'ph:events', id)
  redis.call('ZREM', 'ph:events:failed', id)
end

local function has_runs(event)
  for _, id in ipairs(cjson.decode(redis.call('HGET', event, 'runs') or '[]')) do
    if redis.call('EXISTS', run_key(id)) == 1 then return true end
  end
  return false
end

local function forget_run(id)
  local run = run_key(id)
  local state, event = unpack(redis.call('HMGET', run, 'state', 'event'))
  if not state then return end
  local fact = fact_of(run)
  -- Only what succeeded stands for its fact for good.
  if (state == 'failed' or state == 'cancelled') and redis.call('GET', fact) == id then redis.call('DEL', fact) end
  redis.call('UNLINK', run, 'ph:history:' .. id)
  redis.call('ZREM', 'ph:runs', id)
  redis.call('ZREM', 'ph:runs:' .. state, id)
  if not has_runs(event_key(event)) then forget_event(event) end
end

local expired = 0
for i = 2, #ARGV do
  local kind, id = string.match(ARGV[i], '^(%l+)/(.+)$')
  local ended = tonumber(redis.call('ZSCORE', 'ph:ended', ARGV[i]) or before)
  if ended < before then
    if kind == 'run' then forget_run(id) else forget_event(id) end
    redis.call('ZREM', 'ph:ended', ARGV[i])
    expired = expired + 1
  end
end
return expired
