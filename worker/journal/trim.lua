-- Take out of an index what has no record any more (deleted by hand, or lost by a server that was not durable).
-- ARGV: 'runs' or 'events', cursor, about how many to look at
-- Returns {next cursor, how many were taken out}
local kind, cursor, count = ARGV[1], ARGV[2], ARGV[3]
local states = { 'queued', 'running', 'waiting', 'succeeded', 'succeeded_with_skips', 'failed', 'cancelled' }
local next_cursor, found = unpack(redis.call('ZSCAN', 'ph:' .. kind, cursor, 'COUNT', count))
local trimmed = 0
for i = 1, #found, 2 do
  local id = found[i]
  local key = kind == 'runs' and run_key(id) or event_key(id)
  if redis.call('EXISTS', key) == 0 then
    redis.call('ZREM', 'ph:' .. kind, id)
    for _, state in ipairs(states) do redis.call('ZREM', 'ph:' .. kind .. ':' .. state, id) end
    trimmed = trimmed + 1
  end
end
return { next_cursor, trimmed }
