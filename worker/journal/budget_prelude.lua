-- The request budget, for the scripts that reserve, settle, close and read it; the journal puts it behind the prelude.
--   ph:budget           limit, bulk_limit (requests in a window), window (ms); spent, held and of these spent_bulk,
--                       held_bulk; closed_until (ms), closings (in a row); refused (429s so far), observed, refused_at
--   ph:budget:spent     "time n bulk", the oldest first: n requests, none of which was sent after that time (ms)
--   ph:budget:holds     "name n bulk" of those reserved and not settled, by the time (ms) at which they lapse
--   ph:budget:waiting   who waits for room, by whose turn it is; ph:budget:needs has "n due" of each

local BUDGET, SPENT, HOLDS = 'ph:budget', 'ph:budget:spent', 'ph:budget:holds'
local WAITING, NEEDS = 'ph:budget:waiting', 'ph:budget:needs'
local BUDGET_NUMBERS = { 'limit', 'bulk_limit', 'window', 'spent', 'spent_bulk', 'held', 'held_bulk', 'closed_until', 'closings' }
local STALE_MS = 5000 -- who does not come for so long after its time is not waited for
local AHEAD_SEEN = 1000 -- more than so many waiting ahead are not counted
local BUCKETS = 100 -- in a window

local function read_budget()
  local budget = {}
  for i, value in ipairs(redis.call('HMGET', BUDGET, unpack(BUDGET_NUMBERS))) do
    budget[BUDGET_NUMBERS[i]] = tonumber(value or '0')
  end
  return budget
end

local function add(budget, name, number)
  if number == 0 then return end
  budget[name] = budget[name] + number
  redis.call('HINCRBY', BUDGET, name, number)
end

local function read_bucket(text)
  local at, n, bulk = string.match(text, '^(%d+) (%d+) (%d+)$')
  return tonumber(at), tonumber(n), tonumber(bulk)
end

-- Count requests as sent at a time at the latest. The list stays in order even if the server's clock is set back.
local function spend(budget, n, bulk, at)
  if n == 0 then return end
  local width = math.ceil(budget.window / BUCKETS)
  local stamp = (math.floor(at / width) + 1) * width
  local newest = redis.call('LINDEX', SPENT, -1)
  local newest_at, count, count_bulk = read_bucket(newest or '0 0 0')
  if newest and newest_at >= stamp then
    redis.call('LSET', SPENT, -1, newest_at .. ' ' .. count + n .. ' ' .. count_bulk + bulk)
  else
    redis.call('RPUSH', SPENT, stamp .. ' ' .. n .. ' ' .. bulk)
  end
  add(budget, 'spent', n)
  add(budget, 'spent_bulk', bulk)
end

-- Turn a reservation into what was sent of it (nil: all of it may have been); what was not sent is free again.
local function settle_hold(budget, hold, used, at)
  if redis.call('ZREM', HOLDS, hold) == 0 then return false end -- settled before, or lapsed
  local n, bulk = string.match(hold, ' (%d+) ([01])$')
  used = used or tonumber(n)
  add(budget, 'held', -n)
  add(budget, 'held_bulk', -n * bulk)
  spend(budget, used, used * bulk, at)
  return true
end

-- The budget as it is now: what has left the window is free again, and what nobody settled has been sent.
local function budget_now(now)
  local budget = read_budget()
  local lapsed = redis.call('ZRANGEBYSCORE', HOLDS, '-inf', now, 'WITHSCORES')
  for i = 1, #lapsed, 2 do settle_hold(budget, lapsed[i], nil, tonumber(lapsed[i + 1])) end
  while true do
    local oldest = redis.call('LINDEX', SPENT, 0)
    if not oldest then break end
    local at, n, bulk = read_bucket(oldest)
    if at + budget.window > now then break end
    redis.call('LPOP', SPENT)
    add(budget, 'spent', -n)
    add(budget, 'spent_bulk', -bulk)
  end
  return budget
end

local function leave_waiting(waiter)
  redis.call('HDEL', NEEDS, waiter)
  redis.call('ZREM', WAITING, waiter)
end

-- How much a waiting one needs, and when it comes again; nil where it is not waited for any more.
local function need_of(waiter, now)
  local n, due = string.match(redis.call('HGET', NEEDS, waiter) or '', '^(%d+) (%d+)$')
  if n and tonumber(due) >= now - STALE_MS then return tonumber(n), tonumber(due) end
  leave_waiting(waiter)
end

-- Bulk work waits behind everything else; within each, who began earlier goes first.
local function turn_of(bulk, since) return since + bulk * NEVER end
local function is_bulk(turn) return turn >= NEVER end

-- Let those whose turn it is come again, if there is room for them by now.
local function wake_waiting(budget, now)
  if budget.closed_until > now then return end
  local room = budget.limit - budget.spent - budget.held
  local bulk_room = budget.bulk_limit - budget.spent_bulk - budget.held_bulk
  local waiting = redis.call('ZRANGE', WAITING, 0, 19, 'WITHSCORES')
  for i = 1, #waiting, 2 do
    local waiter = waiting[i]
    local n, due = need_of(waiter, now)
    if n then
      room = room - n
      if is_bulk(tonumber(waiting[i + 1])) then bulk_room = bulk_room - n end
      if room < 0 or bulk_room < 0 then return end
      -- One with a lease is still in the hands of the worker that asked for it.
      if due > now and redis.call('HEXISTS', run_key(waiter), 'lease') == 0 and wake(waiter, now) then
        redis.call('HDEL', run_key(waiter), 'due')
        redis.call('HSET', NEEDS, waiter, n .. ' ' .. now)
      end
    end
  end
end

-- Settle what a step or a claim reserved. holds: name, number sent, name, number sent …
local function settle_holds(id, holds, now)
  if #holds == 0 then return end
  local budget = read_budget()
  for i = 1, #holds, 2 do
    local used = tonumber(holds[i + 1])
    if settle_hold(budget, holds[i], used, now) and used > 0 and id ~= '' then
      redis.call('HINCRBY', run_key(id), 'requests', used)
    end
  end
  if redis.call('EXISTS', WAITING) == 1 then wake_waiting(budget_now(now), now) end
end
