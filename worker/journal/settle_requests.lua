-- Say what was sent of reservations; the rest is free again. Settling twice counts once.
-- ARGV: run id or '', then for each reservation: hold, how many were sent
settle_holds(ARGV[1], { unpack(ARGV, 2) }, now_ms())
