-- Name what ended long ago to one worker, which alone archives it for a while.
-- ARGV: worker, hold (ms), age (ms), how many at most
-- Returns {the time (ms) before which all of it ended, "run/<id>" and "event/<id>" …}; {} if another worker is at it
local worker, hold_ms, age_ms, limit = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
if not hold('archive', worker, hold_ms) then return {} end
local before = now_ms() - age_ms
local aged = redis.call('ZRANGEBYSCORE', 'ph:ended', '-inf', '(' .. before, 'LIMIT', 0, limit)
table.insert(aged, 1, before)
return aged
