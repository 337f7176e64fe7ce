-- Note that the web endpoint is up, and when it was not.
-- ARGV: 1 if it has just started, else 0; gap (ms) between two notes from which on it was not up meanwhile
local now = now_ms()
local last = tonumber(redis.call('GET', 'ph:up'))
redis.call('SET', 'ph:up', now)
if last and (ARGV[1] == '1' or now - last > tonumber(ARGV[2])) then
  redis.call('ZADD', 'ph:outages', now, last)
  redis.call('ZREMRANGEBYRANK', 'ph:outages', 0, -1001)
end
