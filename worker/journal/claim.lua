-- Take a run for one slice of work, if it is due, free and first in its client's queue.
-- ARGV: run id, claim id, lease (ms), worker, the digest of this worker's rules or ''
-- Returns {'claimed', now, run hash, event hash, the rules that the run began with or '' if they are this worker's}, or
--         {why not}; 'rules' = these must be stored first
local id, claim, lease_ms, worker, rules = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]
local run = run_key(id)
local state, token, fence, lease, due, away, occurred, workflow, cancel =
  unpack(redis.call('HMGET', run, 'state', 'token', 'fence', 'lease', 'due', 'away', 'occurred', 'workflow', 'cancel'))
if not state then return { 'unknown' } end
if ENDED[state] then return { 'ended' } end
local now = now_ms()
lease = tonumber(lease or '0')

local function recorded_rules()
  local recorded = redis.call('HGET', run, 'rules')
  if not recorded or recorded == rules then return '' end
  redis.call('PEXPIRE', rules_key(recorded), RULES_KEPT_MS)
  return redis.call('GET', rules_key(recorded)) or ''
end

local function answer()
  local event = redis.call('HGET', run, 'event')
  return { 'claimed', now, redis.call('HGETALL', run), redis.call('HGETALL', event_key(event)), recorded_rules() }
end

-- The same claim again: the store's client repeated the command because the first answer was lost.
if token == (fence or '') .. ':' .. claim and lease > now then return answer() end
if lease > now then return { 'leased' } end
if cancel then
  close(id, 'cancelled', now)
  return { 'ended' }
end
if tonumber(due or '0') > now then return { 'early' } end
local pause = paused_by(id, workflow)
if pause then
  redis.call('HSET', run, 'waiting', 'a person: ' .. pause)
  if state ~= 'waiting' then set_state(id, 'waiting', now) end
  redis.call('SADD', 'ph:parked', id)
  attend('run/' .. id, now + LOOK_AGAIN_MS)
  return { 'paused' }
end

if rules ~= '' and redis.call('PEXPIRE', rules_key(rules), RULES_KEPT_MS) == 0 then return { 'rules' } end

local keys = keys_of(run)
if away then -- it gave its place back for a wait and comes in again by the time of its event
  for _, key in ipairs(keys) do redis.call('ZADD', queue_key(key), occurred, id) end
  redis.call('HDEL', run, 'away')
  forget_away(id, keys)
  redis.call('HINCRBY', run, 'epoch', 1)
end
local other = blocked_by(id, keys, now)
if other then
  redis.call('HSET', run, 'waiting', turn_text(other))
  if redis.call('HGET', run_key(other), 'state') == 'failed' and redis.call('HSETNX', run_key(other), 'blocks', id) == 1 then
    alert(other, 'blocked client', now, 'It failed after it had written, and holds up the client\'s next run ' .. id .. '.')
  end
  if state ~= 'waiting' then set_state(id, 'waiting', now) end
  -- The other one's worker may die, and would then wake nobody.
  local at_work_until = tonumber(redis.call('HGET', run_key(other), 'lease') or '0')
  attend('run/' .. id, at_work_until > now and at_work_until or now + TURN_AGAIN_MS)
  return { 'queued' }
end
if lease > 0 then -- its last worker neither finished nor released it
  redis.call('HINCRBY', run, 'interruptions', 1)
  remember(id, now, worker, 'taken over', 'the worker before it went silent')
end
fence = redis.call('HINCRBY', run, 'fence', 1)
redis.call('HSETNX', run, 'started', now)
if rules ~= '' then redis.call('HSETNX', run, 'rules', rules) end
if redis.call('HGET', run, 'wrote') ~= '1' then -- one that wrote before a wait did not come late
  local newer = newer_run(keys, occurred)
  if newer and redis.call('HSET', run, 'newer', newer) == 1 then
    remember(id, now, worker, 'late', 'run ' .. newer .. ' of a later event has written already')
  end
end
if redis.call('HDEL', run, 'expects') == 1 then
  for _, key in ipairs(keys) do redis.call('SREM', 'ph:expects:' .. key, id) end
end
redis.call('HSET', run, 'token', fence .. ':' .. claim, 'worker', worker)
redis.call('HDEL', run, 'waiting', 'due')
set_state(id, 'running', now)
note_at_work(id, keys)
extend_lease(id, lease_ms, now)
return answer()
