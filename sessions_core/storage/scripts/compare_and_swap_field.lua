-- Replace a field of a hash if it is as expected. One that was dropped meanwhile stays dropped.
-- KEYS: hash
-- ARGV: field, expected, new
-- Returns 1 if it was replaced, else 0.
local hash_key = KEYS[1]
local field, expected, new = ARGV[1], ARGV[2], ARGV[3]

if redis.call('HGET', hash_key, field) ~= expected then return 0 end
redis.call('HSET', hash_key, field, new)
return 1
