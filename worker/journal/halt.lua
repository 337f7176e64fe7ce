-- Stop the run that stands for a business fact which does not hold any more, and let the fact start a new run.
-- ARGV: run id and token of the asker, its step, workflow, fact, reason
-- Returns {'ok', 'none' | 'newer' | 'cancelled' | 'paused' | 'finished'} or {'fenced'}
local id, token, step, workflow, fact, reason = unpack(ARGV)
local run = run_key(id)
local now = now_ms()
if not owned(run, token, now) then return { 'fenced' } end
local said = redis.call('HGET', run, 'a:' .. step)
if said then return { 'ok', cjson.decode(said).halted } end -- said before: the answer was lost

local function halt()
  local key = 'ph:fact:' .. workflow .. ':' .. fact
  local other = redis.call('GET', key)
  if not other then return 'none' end
  local state, wrote, occurred, lease = unpack(redis.call('HMGET', run_key(other), 'state', 'wrote', 'occurred', 'lease'))
  local asked = tonumber(redis.call('HGET', run, 'occurred'))
  if occurred and tonumber(occurred) > asked then return 'newer' end
  redis.call('DEL', key)
  if not state or state == 'succeeded' or state == 'succeeded_with_skips' then return 'finished' end
  if state == 'cancelled' then return 'none' end
  if wrote == '1' then
    redis.call('HSET', 'ph:paused', 'run:' .. other, 'run ' .. id .. ' has paused the run: ' .. reason)
    remember(other, now, 'run ' .. id, 'paused', reason)
    return 'paused'
  end
  remember(other, now, 'run ' .. id, 'cancelled', reason)
  redis.call('HSET', run_key(other), 'error', 'cancelled by run ' .. id .. ': ' .. reason)
  if tonumber(lease or '0') > now then
    redis.call('HSET', run_key(other), 'cancel', '1') -- it meets this before its first write
  else
    close(other, 'cancelled', now)
  end
  return 'cancelled'
end

local halted = halt()
redis.call('HSET', run, 'a:' .. step, cjson.encode({ halted = halted }))
return { 'ok', halted }
