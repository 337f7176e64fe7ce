-- Give the oldest alert to one worker, which alone sends it for a while.
-- ARGV: worker, hold (ms)
-- Returns {alert (JSON), how often it was tried before}, or {} if there is none or another worker is at it
local worker, hold_ms = ARGV[1], ARGV[2]
local oldest = redis.call('LINDEX', 'ph:alerts', 0)
if not oldest or not hold('alerts', worker, hold_ms) then return {} end
return { oldest, redis.call('INCR', 'ph:alerts:tries') - 1 }
