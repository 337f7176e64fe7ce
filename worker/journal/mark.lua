-- Put a result in a step's place by hand, or skip the step, and let the run go on.
-- ARGV: run id, actor, reason, step, record (JSON), 'skipped' or 'marked done'
-- Returns 'ok', or what stands against it
local id, actor, reason, step, record, how = unpack(ARGV)
local run = run_key(id)
local state, lease = unpack(redis.call('HMGET', run, 'state', 'lease'))
if not state then return 'unknown' end
local now = now_ms()
if state ~= 'failed' and state ~= 'waiting' and state ~= 'queued' then return 'it is ' .. state end
if tonumber(lease or '0') > now then return 'a worker is at it' end
if redis.call('HEXISTS', run, 's:' .. step) == 1 then return 'step ' .. step .. ' is done already' end
if redis.call('HEXISTS', run, 'e:' .. step) == 0 and redis.call('HEXISTS', run, 'i:' .. step) == 0 then
  return 'step ' .. step .. ' has not been tried: it can be ' .. how .. ' once the run stands at it'
end
redis.call('HSET', run, 's:' .. step, record, 'step', step)
redis.call('HDEL', run, 'e:' .. step, 'i:' .. step, 'blocks')
if how == 'skipped' then redis.call('HSET', run, 'skips', '1') end
remember(id, now, actor, step .. ' ' .. how, reason)
set_going(id, now)
return 'ok'
