-- Answer what a run asks.
-- ARGV: run id, actor, reason, decision (JSON: approved, by, reason, at, answer)
-- Returns 'ok', or what stands against it
local id, actor, reason, decision = ARGV[1], ARGV[2], ARGV[3], cjson.decode(ARGV[4])
local run = run_key(id)
local state, step = unpack(redis.call('HMGET', run, 'state', 'asks'))
if not state then return 'unknown' end
if not step then return 'it asks nothing now: it is ' .. state end
local now = now_ms()
decision.at = now
redis.call('HSET', run, 'a:' .. step, cjson.encode(decision))
remember(id, now, actor, decision.approved and 'approved' or 'rejected', reason)
set_going(id, now)
return 'ok'
