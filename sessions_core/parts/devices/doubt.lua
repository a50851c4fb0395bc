-- Let no cookie count that was written for an account until now. This comes with the end of a session, so it works when
-- Redis is full.
-- KEYS: doubt
-- ARGV: now in milliseconds, seconds to keep it
-- Returns 1.
-- include _shared.lua
local doubt_key = KEYS[1]
local now, seconds = ARGV[1], ARGV[2]

allow_when_full(doubt_key)
redis.call('SET', doubt_key, now, 'EX', seconds)
return 1
