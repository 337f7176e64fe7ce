-- Let runs stand still, or go on again.
-- ARGV: scope ("run:<id>", "workflow:<name>", "all"), actor, reason, 'pause' or 'resume'
-- Returns 'ok', or what stands against it
local scope, actor, reason, verb = unpack(ARGV)
local now = now_ms()
local id = string.match(scope, '^run:(.+)$')
if id then
  local state = redis.call('HGET', run_key(id), 'state')
  if not state then return 'unknown' end
  if ENDED[state] then return 'it is ' .. state end
end
if verb == 'pause' then
  local what = id and 'the run' or scope == 'all' and 'everything' or string.gsub(scope, ':', ' ')
  redis.call('HSET', 'ph:paused', scope, actor .. ' has paused ' .. what .. (reason ~= '' and ': ' .. reason or ''))
else
  if redis.call('HDEL', 'ph:paused', scope) == 0 then return 'it is not paused' end
  for _, parked in ipairs(redis.call('SMEMBERS', 'ph:parked')) do wake(parked, now) end
  redis.call('DEL', 'ph:parked')
end
if id then remember(id, now, actor, verb .. 'd', reason) end
return 'ok'
