-- Enter the queues of further names of the client.
-- ARGV: run id, token, keys (JSON)
-- Returns 'ok', 'fenced', or the id of the run that goes first
local id, token, more = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local run = run_key(id)
local now = now_ms()
if not owned(run, token, now) then return 'fenced' end
local holds, occurred = unpack(redis.call('HMGET', run, 'holds', 'occurred'))
local keys, known = keys_of(run), {}
for _, key in ipairs(keys) do known[key] = true end
for _, key in ipairs(more) do
  if not known[key] then
    keys[#keys + 1] = key
    redis.call('ZADD', queue_key(key), holds == '1' and 0 or occurred, id)
  end
end
redis.call('HSET', run, 'keys', cjson.encode(keys))
local ahead = blocked_by(id, keys, now)
if ahead then return ahead end
note_at_work(id, keys)
return 'ok'
