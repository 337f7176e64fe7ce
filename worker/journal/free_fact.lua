-- Let a run's business fact start another one: this one has only planned.
-- ARGV: run id, token
-- Returns 'ok' or 'fenced'
local id, token = ARGV[1], ARGV[2]
local run = run_key(id)
if not owned(run, token, now_ms()) then return 'fenced' end
local fact = fact_of(run)
if redis.call('GET', fact) == id then redis.call('DEL', fact) end
return 'ok'
