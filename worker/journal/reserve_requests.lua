-- Reserve requests for a step, or say when there may be room for them. The same reservation again is the same one.
-- ARGV: the hold's name, how many, how many the waiter will ask for if it must come again, bulk (0|1), who waits (run id,
--       or another name), since when (ms), limit, bulk limit, window (ms), how long until the hold lapses (ms)
-- Returns {'granted'}, or {'used up' or 'closed', about when to come again (ms)}
local name, waiter = ARGV[1], ARGV[5]
local n, again, bulk, since = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[6])
local limit, bulk_limit, window = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local hold_ms = tonumber(ARGV[10])
local now = now_ms()
local budget = budget_now(now)
if budget.limit ~= limit or budget.bulk_limit ~= bulk_limit or budget.window ~= window then
  redis.call('HSET', BUDGET, 'limit', limit, 'bulk_limit', bulk_limit, 'window', window)
end
local hold = name .. ' ' .. n .. ' ' .. bulk
if redis.call('ZSCORE', HOLDS, hold) then return { 'granted' } end

-- What those need whose turn is before this one's: all together, and the bulk work among them.
local function needed_ahead(turn)
  local all, of_bulk = 0, 0
  local found = redis.call('ZRANGEBYSCORE', WAITING, '-inf', turn, 'WITHSCORES', 'LIMIT', 0, AHEAD_SEEN)
  for i = 1, #found, 2 do
    local other, its_turn = found[i], tonumber(found[i + 1])
    if other ~= waiter and (its_turn < turn or other < waiter) then
      local needed = need_of(other, now) or 0
      all = all + needed
      if is_bulk(its_turn) then of_bulk = of_bulk + needed end
    end
  end
  return all, of_bulk
end

-- When so many more than there is room for have left the window, if all who wait take what they need.
local function free_at(lacking, capacity, of_bulk)
  if lacking <= 0 then return now end
  for _, bucket in ipairs(redis.call('LRANGE', SPENT, 0, -1)) do
    local at, sent, sent_bulk = read_bucket(bucket)
    lacking = lacking - (of_bulk and sent_bulk or sent)
    if lacking <= 0 then return at + window end
  end
  return now + window * math.ceil(lacking / capacity)
end

local turn = turn_of(bulk, since)
local ahead, ahead_bulk = needed_ahead(turn)

-- When there is room for so many.
local function room_at(wanted)
  local at = free_at(budget.spent + budget.held + ahead + wanted - limit, limit, false)
  if bulk == 0 then return at end
  return math.max(at, free_at(budget.spent_bulk + budget.held_bulk + ahead_bulk + wanted - bulk_limit, bulk_limit, true))
end

local run = run_key(waiter)
if budget.closed_until > now or room_at(n) > now then
  local at = math.max(room_at(again), budget.closed_until)
  redis.call('ZADD', WAITING, turn, waiter)
  redis.call('HSET', NEEDS, waiter, again .. ' ' .. at)
  if redis.call('EXISTS', run) == 1 then redis.call('HSET', run, 'need', again) end
  return { budget.closed_until > now and 'closed' or 'used up', at }
end
leave_waiting(waiter)
redis.call('HDEL', run, 'need')
redis.call('ZADD', HOLDS, now + hold_ms, hold)
add(budget, 'held', n)
add(budget, 'held_bulk', n * bulk)
return { 'granted' }
