-- Note that an administrator decides about an account.
-- KEYS: decided, changed
-- ARGV: account tag, encrypted account
-- Returns 1.
-- include _shared.lua
local decided_key, changed_key = KEYS[1], KEYS[2]
local tag, account = ARGV[1], ARGV[2]

redis.call('HSET', decided_key, tag, account)
redis.call('ZADD', changed_key, now_ms(), tag)
return 1
