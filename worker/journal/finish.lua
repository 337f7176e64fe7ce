-- End a run. A failed run keeps its place in the client's queue if it wrote: nobody builds on a half-done client.
-- ARGV: run id, token, state, result (JSON text), error (text or ''), then for each failed step: step, failure (JSON)
-- Returns 'ok' or 'fenced'
local id, token, state, result, problem = unpack(ARGV, 1, 5)
local run = run_key(id)
local current, old = unpack(redis.call('HMGET', run, 'token', 'state'))
if current ~= token then return 'fenced' end
if ENDED[old] then return 'ok' end -- said before: the answer was lost
local now = now_ms()
if not owned(run, token, now) then return 'fenced' end
if state == 'succeeded' and redis.call('HGET', run, 'skips') then state = 'succeeded_with_skips' end
if state ~= 'succeeded' and state ~= 'succeeded_with_skips' then
  redis.call('HSET', run, 'error', problem)
  if ARGV[6] then redis.call('HSET', run, 'step', ARGV[6]) end
  for i = 6, #ARGV, 2 do redis.call('HSET', run, 'e:' .. ARGV[i], ARGV[i + 1]) end
else
  redis.call('HSET', run, 'result', result)
  redis.call('HDEL', run, 'error') -- of a cancelling that came too late
end
close(id, state, now)
if state == 'failed' then alert(id, 'run failed', now, problem) end
return 'ok'
