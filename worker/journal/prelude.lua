-- Shared by every script; the journal puts it in front of each. Keys are built here, not passed: arq rules out a
-- cluster anyway. CLOCK, DOORBELL, DOORBELL_TTL_MS and QUEUE are filled in by journal/__init__.py.

local ENDED = { succeeded = true, succeeded_with_skips = true, failed = true, cancelled = true }
local NEVER = 9000000000000 -- a time (ms) that does not come: the run waits for a person
local TURN_AGAIN_MS = 10000 -- a run that waits for its client's queue is looked at this often, should a ring get lost
local LOOK_AGAIN_MS = 60000 -- and a paused one this often

local WORKER_SEEN_MS = 10000 -- a worker that has not swept for this long is not counted as there

local ALERTS_KEPT = 1000
local HISTORY_KEPT = 200
local LATEST_KEPT_MS = 400 * 24 * 3600 * 1000
local AT_WORK_KEPT_MS = 3600 * 1000 -- longer than any worker has a run in its hands in one go
local RULES_KEPT_MS = 400 * 24 * 3600 * 1000 -- since a run that has these rules, or a worker, was last at work
local FACT_KEPT_MS = 400 * 24 * 3600 * 1000 -- after the end: longer than any run is kept

local function now_ms()
  --CLOCK--
end

local function event_key(id) return 'ph:event:' .. id end
local function run_key(id) return 'ph:run:' .. id end
local function rules_key(digest) return 'ph:rules:' .. digest end
local function queue_key(name) return 'ph:queue:' .. name end

-- Wake a worker for "event/<id>" or "run/<id>" at a time (ms). A lost, doubled or late ring is harmless.
local function ring(subject, at)
  local job = subject .. '#' .. redis.call('INCR', 'ph:doorbells')
  local quoted = cjson.encode(subject)
  local payload = string.gsub(DOORBELL, '"@SUBJECT@"', function() return quoted end)
  redis.call('SET', 'arq:job:' .. job, payload, 'PX', DOORBELL_TTL_MS)
  redis.call('ZADD', QUEUE, at, job)
end

-- When the sweep must look at a subject, if nothing happens before.
local function attend(subject, at) redis.call('ZADD', 'ph:open', at, subject) end

local function set_state(id, state, now)
  local run = run_key(id)
  local old, created = unpack(redis.call('HMGET', run, 'state', 'created'))
  if old ~= state then
    if old then redis.call('ZREM', 'ph:runs:' .. old, id) end
    redis.call('ZADD', 'ph:runs:' .. state, created, id)
  end
  redis.call('HSET', run, 'state', state, 'updated', now)
end

local function remember(id, now, actor, action, reason)
  local history = 'ph:history:' .. id
  redis.call('RPUSH', history, cjson.encode({ at = now, actor = actor, action = action, reason = reason }))
  redis.call('LTRIM', history, -HISTORY_KEPT, -1)
end

-- Let one worker at a time do something: takes or keeps the hold on it for a while (ms).
local function hold(name, worker, for_ms)
  local holder = redis.call('GET', 'ph:hold:' .. name)
  if holder and holder ~= worker then return false end
  redis.call('SET', 'ph:hold:' .. name, worker, 'PX', for_ms)
  return true
end

-- Say something to the people in charge, once; a worker sends it on.
local function send(message)
  redis.call('RPUSH', 'ph:alerts', cjson.encode(message))
  redis.call('LTRIM', 'ph:alerts', -ALERTS_KEPT, -1)
end

-- Say something about a run.
local function alert(id, kind, now, text)
  local run = redis.call('HMGET', run_key(id), 'workflow', 'client')
  send({ id = id .. ':' .. kind .. ':' .. now, kind = kind, run = id, at = now, workflow = run[1], client = run[2],
    text = text })
end

-- Who has paused the run, its workflow or everything, in words; nil if nobody has.
local function paused_by(id, workflow)
  for _, scope in ipairs({ 'run:' .. id, 'workflow:' .. workflow, 'all' }) do
    local pause = redis.call('HGET', 'ph:paused', scope)
    if pause then return pause end
  end
  return nil
end

-- The key under which a run's business fact is known.
local function fact_of(run)
  local workflow, fact = unpack(redis.call('HMGET', run, 'workflow', 'fact'))
  return 'ph:fact:' .. workflow .. ':' .. fact
end

local function keys_of(run) return cjson.decode(redis.call('HGET', run, 'keys') or '[]') end

-- Which run goes before this one under any of its client's names; nil if none does.
local function blocked_by(id, keys, now)
  for _, key in ipairs(keys) do
    local first = redis.call('ZRANGE', queue_key(key), 0, 0)[1]
    while first and first ~= id and redis.call('EXISTS', run_key(first)) == 0 do -- somebody deleted its record
      redis.call('ZREM', queue_key(key), first)
      first = redis.call('ZRANGE', queue_key(key), 0, 0)[1]
    end
    if first and first ~= id then return first end
    -- A later event's run may still be at work: it started before this one arrived and has not met its yield yet.
    local at_work = redis.call('GET', 'ph:at-work:' .. key)
    if at_work and at_work ~= id then
      local lease = tonumber(redis.call('HGET', run_key(at_work), 'lease') or '0')
      if lease > now then return at_work end
    end
  end
  return nil
end

-- Wake whoever is first now under these names, but not the caller itself.
local function ring_next(keys, now, caller)
  local rung = { [caller] = true }
  for _, key in ipairs(keys) do
    local head = redis.call('ZRANGE', queue_key(key), 0, 0)[1]
    if head and not rung[head] then
      rung[head] = true
      local state, lease, due = unpack(redis.call('HMGET', run_key(head), 'state', 'lease', 'due'))
      if not ENDED[state] and not lease and tonumber(due or '0') <= now then
        attend('run/' .. head, now + 5000)
        ring('run/' .. head, now)
      end
    end
  end
end

-- Note which runs wait away from their client's queue, so that a later one of the same client finds them.
local function note_away(id, keys)
  for _, key in ipairs(keys) do redis.call('SADD', 'ph:away:' .. key, id) end
end

local function forget_away(id, keys)
  for _, key in ipairs(keys) do redis.call('SREM', 'ph:away:' .. key, id) end
end

local function leave_queues(id, keys, now)
  for _, key in ipairs(keys) do redis.call('ZREM', queue_key(key), id) end
  ring_next(keys, now, id)
end

-- Say under these names which run a worker has in its hands.
local function note_at_work(id, keys)
  for _, key in ipairs(keys) do redis.call('SET', 'ph:at-work:' .. key, id, 'PX', AT_WORK_KEPT_MS) end
end

-- Let a run that waits be looked at now. One that has ended by now is left alone.
local function wake(id, now)
  local state = redis.call('HGET', run_key(id), 'state')
  if not state or ENDED[state] then return false end
  attend('run/' .. id, now + 5000)
  ring('run/' .. id, now)
  return true
end

-- Wake the runs that wait for something to happen to the client.
local function wake_expectant(keys, now)
  for _, key in ipairs(keys) do
    for _, other in ipairs(redis.call('SMEMBERS', 'ph:expects:' .. key)) do
      if wake(other, now) then redis.call('HDEL', run_key(other), 'due') end
    end
    redis.call('DEL', 'ph:expects:' .. key)
  end
end

-- Note what has ended, so that it is archived when it is old enough.
local function age(subject, now) redis.call('ZADD', 'ph:ended', now, subject) end

-- End a run: out of every index and queue, unless it failed half-done, which keeps its place and does not age.
local function close(id, state, now)
  local run = run_key(id)
  redis.call('HSET', run, 'finished', now)
  redis.call('HDEL', run, 'lease', 'waiting', 'due', 'worker', 'asks', 'cancel')
  redis.call('HDEL', 'ph:paused', 'run:' .. id)
  redis.call('ZREM', 'ph:open', 'run/' .. id)
  set_state(id, state, now)
  local keys = keys_of(run)
  forget_away(id, keys)
  if state ~= 'failed' or redis.call('HGET', run, 'wrote') ~= '1' then
    leave_queues(id, keys, now)
    age('run/' .. id, now)
  end
  local fact = fact_of(run)
  if redis.call('GET', fact) == id then redis.call('PEXPIRE', fact, FACT_KEPT_MS) end
  wake_expectant(keys, now)
end

-- Let a run that stood still go on at once.
local function set_going(id, now)
  local run = run_key(id)
  redis.call('HDEL', run, 'due', 'waiting', 'error', 'finished', 'trouble', 'asks')
  redis.call('ZREM', 'ph:ended', 'run/' .. id)
  local occurred, away = unpack(redis.call('HMGET', run, 'occurred', 'away'))
  if not away then
    for _, key in ipairs(keys_of(run)) do redis.call('ZADD', queue_key(key), 'NX', occurred, id) end
  end
  set_state(id, 'queued', now)
  attend('run/' .. id, now + 5000)
  ring('run/' .. id, now)
end

-- The run of a later event that has written to this client already; nil if there is none.
local function newer_run(keys, occurred)
  for _, key in ipairs(keys) do
    local at, run = string.match(redis.call('GET', 'ph:latest:' .. key) or '', '^(%d+) (.+)$')
    if at and tonumber(at) > tonumber(occurred) then return run end
  end
  return nil
end

local function turn_text(other)
  if redis.call('HGET', run_key(other), 'state') == 'failed' then
    return 'the client: run ' .. other .. ' failed after it had written to it; retry or cancel that one first'
  end
  return 'the client: run ' .. other .. ' goes first'
end

-- Whether the caller still owns the run: its token is the current one and its lease has not run out.
local function owned(run, token, now)
  local current, lease = unpack(redis.call('HMGET', run, 'token', 'lease'))
  return current == token and tonumber(lease or '0') > now
end

local function extend_lease(id, lease_ms, now)
  redis.call('HSET', run_key(id), 'lease', now + lease_ms)
  attend('run/' .. id, now + lease_ms)
end
