-- Let a failed or waiting run go on now.
-- ARGV: run id, actor, reason, steps to be done anew (JSON array)
-- Returns 'ok', or what stands against it
local id, actor, reason, forget = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local run = run_key(id)
local state, step, lease, workflow, fact = unpack(redis.call('HMGET', run, 'state', 'step', 'lease', 'workflow', 'fact'))
if not state then return 'unknown' end
local now = now_ms()
if state ~= 'failed' and state ~= 'waiting' and state ~= 'queued' then return 'it is ' .. state end
if redis.call('HGET', run, 'asks') and #forget == 0 then return 'it waits for a decision: approve or reject it' end
if tonumber(lease or '0') > now then return 'a worker is at it' end
if state == 'failed' then
  local key = 'ph:fact:' .. workflow .. ':' .. fact
  local other = redis.call('GET', key)
  if other and other ~= id then
    local other_state = redis.call('HGET', run_key(other), 'state')
    if other_state ~= 'failed' and other_state ~= 'cancelled' then
      return 'run ' .. other .. ' stands for the same fact by now and is ' .. (other_state or 'archived')
    end
  end
  redis.call('SET', key, id)
  redis.call('HINCRBY', run, 'attempt', 1)
  if step == 'start' then redis.call('HSET', run, 'rehydrate', '1') end
end
redis.call('HDEL', run, 'blocks', 'rules') -- what was mended may be the rules
for _, name in ipairs(redis.call('HKEYS', run)) do
  if string.sub(name, 1, 2) == 'e:' then redis.call('HDEL', run, name) end
end
for _, name in ipairs(forget) do
  redis.call('HDEL', run, 's:' .. name, 'e:' .. name, 'a:' .. name)
  redis.call('HSET', run, 'i:' .. name, 0) -- it may have written: look first
end
remember(id, now, actor, #forget > 0 and ('retry from ' .. forget[1]) or 'retry', reason)
set_going(id, now)
return 'ok'
