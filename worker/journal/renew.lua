-- Hold on to a run while one of its calls is within its budget.
-- ARGV: run id, token, lease (ms)
-- Returns 'ok' or 'fenced'
local id, token, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local now = now_ms()
if not owned(run_key(id), token, now) then return 'fenced' end
extend_lease(id, lease_ms, now)
return 'ok'
