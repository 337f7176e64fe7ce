-- Let nobody send for a while: the other side has answered 429. Several such answers at once close it once.
-- ARGV: how long it asked us to wait (ms; -1 = it did not say)
-- Returns until when (ms)
local CLOSED_LEAST = 1 / 30 -- of a window, doubled each time that it is refused again
local told_ms = tonumber(ARGV[1])
local now = now_ms()
local budget = budget_now(now)
local window = budget.window
redis.call('HINCRBY', BUDGET, 'refused', 1)
redis.call('HSET', BUDGET, 'observed', budget.spent + budget.held, 'refused_at', now)

local function closed_until()
  if told_ms >= 0 then return now + told_ms end
  local oldest = redis.call('LINDEX', SPENT, 0)
  local room_at = oldest and read_bucket(oldest) + window or now
  local least = now + math.floor(window * CLOSED_LEAST * 2 ^ math.min(budget.closings, 10))
  return math.min(now + window, math.max(room_at, least))
end

if budget.closed_until <= now then -- it was open
  local again = now - budget.closed_until < window
  budget.closings = again and budget.closings + 1 or 0
  redis.call('HSET', BUDGET, 'closings', budget.closings, 'closed_until', closed_until())
elseif told_ms >= 0 then
  redis.call('HSET', BUDGET, 'closed_until', math.max(budget.closed_until, now + told_ms))
end
return tonumber(redis.call('HGET', BUDGET, 'closed_until'))
