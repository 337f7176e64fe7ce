-- Note that all that a system could tell at a time was taken in.
-- ARGV: system, worker, time (ms)
redis.call('HSET', 'ph:backfilled', ARGV[1], ARGV[3])
if redis.call('GET', 'ph:hold:backfill:' .. ARGV[1]) == ARGV[2] then
  redis.call('DEL', 'ph:hold:backfill:' .. ARGV[1])
end
