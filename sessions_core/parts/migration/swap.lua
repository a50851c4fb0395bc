-- Replace a value, with the time that it lives, if it is as expected. An empty expected value is "not there".
-- KEYS: value
-- ARGV: expected, new, milliseconds
-- Returns 1 if it was replaced, else 0.
local key, expected, new, lives = KEYS[1], ARGV[1], ARGV[2], ARGV[3]

if (redis.call('GET', key) or '') ~= expected then return 0 end
redis.call('SET', key, new, 'PX', lives)
return 1
