-- End the client's runs of a workflow whose events are earlier and that wait away from their queue.
-- ARGV: run id and token of the asker, its step, reason, workflow ('' = the asker's own)
-- Returns {'ok', the ids of the runs that were ended (JSON array)} or {'fenced'}
local id, token, step, reason, of = unpack(ARGV)
local run = run_key(id)
local now = now_ms()
if not owned(run, token, now) then return { 'fenced' } end
local said = redis.call('HGET', run, 'a:' .. step)
if said then return { 'ok', said } end -- said before: the answer was lost
local workflow, occurred = unpack(redis.call('HMGET', run, 'workflow', 'occurred'))
if of ~= '' then workflow = of end
local ended = {}
for _, key in ipairs(keys_of(run)) do
  for _, other in ipairs(redis.call('SMEMBERS', 'ph:away:' .. key)) do
    local other_workflow, other_occurred, state, lease =
      unpack(redis.call('HMGET', run_key(other), 'workflow', 'occurred', 'state', 'lease'))
    local open = state and not ENDED[state] and tonumber(lease or '0') <= now
    if open and other ~= id and other_workflow == workflow and tonumber(other_occurred) <= tonumber(occurred) then
      remember(other, now, 'run ' .. id, 'superseded', reason)
      redis.call('HSET', run_key(other), 'error', 'superseded by run ' .. id .. ': ' .. reason)
      close(other, 'cancelled', now)
      ended[#ended + 1] = other
    end
  end
end
said = #ended > 0 and cjson.encode(ended) or '[]'
redis.call('HSET', run, 'a:' .. step, said)
return { 'ok', said }
