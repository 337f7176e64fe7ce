-- End a run. A failed run keeps its place in the client's queue if it wrote: nobody builds on a half-done client.
-- ARGV: run id, token, state, result (JSON text), error (JSON text or ''), step, failure (JSON text or '')
-- Returns 'ok' or 'fenced'
local id, token, state, result, problem, step, failure = unpack(ARGV)
local run = run_key(id)
local current, old = unpack(redis.call('HMGET', run, 'token', 'state'))
if current ~= token then return 'fenced' end
if ENDED[old] then return 'ok' end -- said before: the answer was lost
local now = now_ms()
if not owned(run, token, now) then return 'fenced' end
redis.call('HSET', run, 'finished', now)
if state == 'failed' then
  redis.call('HSET', run, 'error', problem)
  if step ~= '' then redis.call('HSET', run, 'step', step, 'e:' .. step, failure) end
else
  redis.call('HSET', run, 'result', result)
end
redis.call('HDEL', run, 'lease', 'waiting', 'due', 'worker')
redis.call('ZREM', 'ph:open', 'run/' .. id)
set_state(id, state, now)
if state ~= 'failed' or redis.call('HGET', run, 'wrote') ~= '1' then leave_queues(id, keys_of(run), now) end
return 'ok'
