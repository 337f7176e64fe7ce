-- Take an alert off the list, or let nobody try before a time.
-- ARGV: worker, alert (JSON), 0 if it is done, else how long to wait (ms)
local worker, alert, wait_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
if wait_ms == 0 and redis.call('LREM', 'ph:alerts', 1, alert) == 1 then redis.call('DEL', 'ph:alerts:tries') end
if redis.call('GET', 'ph:hold:alerts') ~= worker then return end -- its time was over: another worker is at it
if wait_ms == 0 then
  redis.call('DEL', 'ph:hold:alerts')
else
  redis.call('SET', 'ph:hold:alerts', 'nobody', 'PX', wait_ms)
end
