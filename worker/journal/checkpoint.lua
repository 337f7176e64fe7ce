-- Keep a step's result. The first result stays.
-- ARGV: run id, token, step, record (JSON), lease (ms), what to say in the history (or ''), worker, then for each
--       reservation in the request budget: hold, how many requests were sent
-- Returns 'ok' or 'fenced'
local id, token, step, record, lease_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local run = run_key(id)
local now = now_ms()
settle_holds(id, { unpack(ARGV, 8) }, now) -- what a fenced worker sent counts too
if not owned(run, token, now) then return 'fenced' end
if redis.call('HSETNX', run, 's:' .. step, record) == 1 and ARGV[6] ~= '' then
  remember(id, now, ARGV[7], ARGV[6], '')
end
redis.call('HSET', run, 'step', step, 'updated', now)
redis.call('HDEL', run, 'i:' .. step, 'e:' .. step, 'trouble')
extend_lease(id, lease_ms, now)
return 'ok'
