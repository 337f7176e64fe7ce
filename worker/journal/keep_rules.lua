-- Keep the text of rules, so that runs which begin under them end under them.
-- ARGV: digest, text
redis.call('SET', rules_key(ARGV[1]), ARGV[2], 'PX', RULES_KEPT_MS)
