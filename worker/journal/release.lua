-- Give a run back before its end: for a retry, a wait, its turn, or because its worker stops.
-- ARGV: run id, token, request (JSON: state, due (ms; 0 = now), waiting, step, failure (JSON text or ''), attempt (0|1),
--       settled (steps whose writes were answered), forget (steps to be done anew), away (bool), history (text or ''), actor)
-- Returns 'ok' or 'fenced'
local id, token, request = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local run = run_key(id)
if redis.call('HGET', run, 'token') ~= token then return 'fenced' end
local lease = redis.call('HGET', run, 'lease')
if not lease then return 'ok' end -- said before: the answer was lost
local now = now_ms()
local due = request.due > 0 and request.due or now
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
set_state(id, request.state, now)
if request.away then
  redis.call('HSET', run, 'away', '1')
  redis.call('HDEL', run, 'holds')
  leave_queues(id, keys_of(run), now)
else
  ring_next(keys_of(run), now, id)
end
attend('run/' .. id, due + 1000)
if due - now < 60000 then ring('run/' .. id, due) end
return 'ok'
