-- Note that a source is heard now.
-- ARGV: source
redis.call('ZADD', 'ph:heard', now_ms(), ARGV[1])
