-- Read the request budget as it is now.
-- Returns its hash, and how many wait
local budget = budget_now(now_ms())
return { redis.call('HGETALL', BUDGET), redis.call('ZCARD', WAITING) }
