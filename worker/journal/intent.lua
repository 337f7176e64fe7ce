-- Say durably that a step is about to write outside. The first write makes the run the holder of its client's queue.
-- ARGV: run id, token, step, call budget (ms), lease (ms)
-- Returns {'ok'}, {'fenced'} (not the owner any more), {'paused'} or {'behind', the id of the run that goes first}
local id, token, step, budget_ms, lease_ms = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local run = run_key(id)
local now = now_ms()
local workflow, cancel, holds, occurred = unpack(redis.call('HMGET', run, 'workflow', 'cancel', 'holds', 'occurred'))
if cancel or not owned(run, token, now) then return { 'fenced' } end
if paused_by(id, workflow) then return { 'paused' } end
if holds ~= '1' then
  local keys = keys_of(run)
  local other = blocked_by(id, keys, now)
  if other then return { 'behind', other } end
  for _, key in ipairs(keys) do
    redis.call('ZADD', queue_key(key), 0, id)
    local at = tonumber(string.match(redis.call('GET', 'ph:latest:' .. key) or '', '^%d+') or '0')
    if tonumber(occurred) > at then
      redis.call('SET', 'ph:latest:' .. key, occurred .. ' ' .. id, 'PX', LATEST_KEPT_MS)
    end
  end
  redis.call('HSET', run, 'holds', '1', 'wrote', '1')
end
redis.call('HSET', run, 'step', step, 'i:' .. step, now + budget_ms)
extend_lease(id, lease_ms, now)
return { 'ok' }
