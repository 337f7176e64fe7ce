-- Give one worker the backfill of a system, if it is due: after an outage of the endpoint, or by the schedule.
-- ARGV: system, worker, for how long (ms), how often (ms; 0 = after outages only)
-- Returns since when the system is to be asked, and now; nothing if it is not due, or another worker's
local system, worker, hold_ms, every_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local now = now_ms()
-- A system that was only just connected has nothing to make up for.
redis.call('HSETNX', 'ph:backfilled', system, now)
local done = tonumber(redis.call('HGET', 'ph:backfilled', system))
local since = redis.call('ZRANGEBYSCORE', 'ph:outages', '(' .. done, '+inf', 'LIMIT', 0, 1)[1]
if every_ms > 0 and now - done >= every_ms then since = math.min(done, tonumber(since) or done) end
if not since or not hold('backfill:' .. system, worker, hold_ms) then return {} end
return { tonumber(since), now }
