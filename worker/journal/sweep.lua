-- Ring again for what is due and quiet, and show that this worker lives.
-- ARGV: how many at most, how long until they are looked at again (ms), worker
-- Returns how many rings
local limit, again_ms = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = now_ms()
redis.call('ZADD', 'ph:workers', now, ARGV[3])
redis.call('ZREMRANGEBYSCORE', 'ph:workers', '-inf', now - WORKER_SEEN_MS)
-- A long doorbell queue means busy workers, not lost doorbells: ringing more would only lengthen it.
local crowded = redis.call('ZCARD', QUEUE) > 1000
local rung = 0
for _, subject in ipairs(redis.call('ZRANGEBYSCORE', 'ph:open', '-inf', now, 'LIMIT', 0, limit)) do
  attend(subject, now + again_ms)
  local orphaned = string.sub(subject, 1, 4) == 'run/' and redis.call('HGET', run_key(string.sub(subject, 5)), 'lease')
  if orphaned or not crowded then
    ring(subject, now)
    rung = rung + 1
  end
end
return rung
