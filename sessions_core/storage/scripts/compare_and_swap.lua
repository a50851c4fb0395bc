-- Replace a value if it is as expected; the new one goes on with the clock of the former. An empty expected value is
-- "not there".
-- KEYS: value
-- ARGV: expected, new
-- Returns 1 if it was replaced, else 0.
-- include _shared.lua
local value_key = KEYS[1]
local expected, new = ARGV[1], ARGV[2]

if (redis.call('GET', value_key) or '') ~= expected then return 0 end
if #new <= #expected then allow_when_full(value_key) end
redis.call('SET', value_key, new, 'KEEPTTL')
return 1
