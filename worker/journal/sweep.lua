-- Ring again for what is due and quiet, and show that this worker lives.
-- ARGV: how many at most, how long until they are looked at again (ms), worker
-- Returns how many rings
local DOORBELL_OLD_MS = 15000
local limit, again_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = now_ms()
redis.call('ZADD', 'ph:workers', now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', 'ph:workers', '-inf', now - WORKER_SEEN_MS)
-- A long doorbell queue means busy workers, not lost doorbells: ringing more would only lengthen it.
local crowded = redis.call('ZCARD', QUEUE) > 1000
if not crowded then
  -- An old doorbell is in the hands of a worker, dead or alive, and idle workers look at it at each of their polls. It
  -- is not needed any more: what is due is rung for again.
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', QUEUE, '-inf', now - DOORBELL_OLD_MS, 'LIMIT', 0, limit)) do
    redis.call('ZREM', QUEUE, job)
    redis.call('UNLINK', 'arq:job:' .. job)
  end
end
local rung = 0
for _, subject in ipairs(redis.call('ZRANGEBYSCORE', 'ph:open', '-inf', now, 'LIMIT', 0, limit)) do
  local kind, id = string.match(subject, '^(%l+)/(.+)$')
  local state, lease = unpack(redis.call('HMGET', kind == 'run' and run_key(id) or event_key(id), 'state', 'lease'))
  if not state or ENDED[state] and kind == 'run' then
    redis.call('ZREM', 'ph:open', subject) -- deleted by hand, or woken after its end
  else
    attend(subject, now + again_ms)
    if lease or not crowded then
      ring(subject, now)
      rung = rung + 1
    end
  end
end
return rung
