-- Consume a nonce when Redis may be full: for a signature that ends sessions.
-- KEYS: nonce
-- ARGV: seconds
-- Returns 1 if it was not consumed before, else 0.
-- include _shared.lua
local nonce_key = KEYS[1]
local seconds = ARGV[1]

allow_when_full(nonce_key)
return redis.call('SET', nonce_key, 1, 'NX', 'EX', seconds) and 1 or 0
