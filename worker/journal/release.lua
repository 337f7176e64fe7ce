-- Give a run back before its end: for a retry, a wait, its turn, or because its worker stops.
-- ARGV: run id, token, request (JSON: state, due (ms; 0 = now, -1 = never), waiting, step, failure (JSON text or ''),
--       attempt (0|1), settled (steps whose writes were answered), forget (steps to be done anew), away (bool),
--       history (text or ''), actor, expects (bool: wake at anything that happens to the client),
--       expected (further names at which it is woken),
--       asks (bool: a person must decide), overdue (bool), awaits (name of an event or ''))
-- Returns 'ok' or 'fenced'
local id, token, request = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local run = run_key(id)
if redis.call('HGET', run, 'token') ~= token then return 'fenced' end
local lease = redis.call('HGET', run, 'lease')
if not lease then return 'ok' end -- said before: the answer was lost
local now = now_ms()
local due = request.due > 0 and request.due or (request.due < 0 and NEVER or now)
-- Past its lease a worker's look may be older than what it misses: others of the client may have come and gone.
if request.expects and tonumber(lease) <= now then due = now end
redis.call('HSET', run, 'due', due, 'waiting', request.waiting)
redis.call('HINCRBY', run, 'attempt', request.attempt)
redis.call('HDEL', run, 'lease')
if request.failure ~= '' then
  redis.call('HSET', run, 'step', request.step, 'e:' .. request.step, request.failure)
  redis.call('HSETNX', run, 'trouble', now)
end
for _, step in ipairs(request.settled) do redis.call('HSET', run, 'i:' .. step, 0) end
for _, step in ipairs(request.forget) do redis.call('HDEL', run, 's:' .. step) end
if request.history ~= '' then remember(id, now, request.actor, request.history, request.waiting) end
if request.expects then
  redis.call('HSET', run, 'expects', '1')
  for _, keys in ipairs({ keys_of(run), request.expected }) do
    for _, key in ipairs(keys) do redis.call('SADD', 'ph:expects:' .. key, id) end
  end
end
if request.asks then redis.call('HSET', run, 'asks', request.step) end
if request.overdue then alert(id, 'approval overdue', now, 'Nobody has decided in time; it waits for ' .. request.waiting) end
if request.awaits ~= '' then redis.call('HSET', 'ph:awaits:' .. request.awaits, id, request.step) end
set_state(id, request.state, now)
if request.away then
  redis.call('HSET', run, 'away', '1')
  redis.call('HDEL', run, 'holds')
  note_away(id, keys_of(run))
  leave_queues(id, keys_of(run), now)
else
  ring_next(keys_of(run), now, id)
end
if redis.call('HGET', run, 'cancel') then
  close(id, 'cancelled', now)
  return 'ok'
end
attend('run/' .. id, due + 1000)
if due - now < 60000 then ring('run/' .. id, due) end
return 'ok'
