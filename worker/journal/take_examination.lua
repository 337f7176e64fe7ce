-- Give one worker the examination of a day, unless it or a later one is made; asked again, it keeps it.
-- ARGV: day ("2026-11-23"), worker, for how long (ms)
-- Returns 1 if it is this worker's
local day, worker, hold_ms = ARGV[1], ARGV[2], ARGV[3]
if day <= (redis.call('HGET', 'ph:examined', 'day') or '') then return 0 end
return hold('examination', worker, hold_ms) and 1 or 0
