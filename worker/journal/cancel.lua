-- End a run by hand. One that a worker is at ends when its lease does, and writes nothing more.
-- ARGV: run id, actor, reason
-- Returns 'ok', 'later', or what stands against it
local id, actor, reason = ARGV[1], ARGV[2], ARGV[3]
local run = run_key(id)
local state, lease = unpack(redis.call('HMGET', run, 'state', 'lease'))
if not state then return 'unknown' end
if ENDED[state] and state ~= 'failed' then return 'it is ' .. state end
local now = now_ms()
remember(id, now, actor, 'cancelled', reason)
redis.call('HSET', run, 'error', 'cancelled by ' .. actor .. ': ' .. reason)
if tonumber(lease or '0') > now then
  redis.call('HSET', run, 'cancel', '1')
  return 'later'
end
close(id, 'cancelled', now)
return 'ok'
