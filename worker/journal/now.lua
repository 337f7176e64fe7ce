-- The server's clock.
return now_ms()
