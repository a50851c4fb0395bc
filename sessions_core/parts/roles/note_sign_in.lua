-- Note a sign-in for administrators; no more than the most are kept, or fresh accounts, which cost nothing, would fill
-- memory.
-- KEYS: seen, names
-- ARGV: account tag, encrypted account, most
-- Returns 1.
-- include _shared.lua
local seen_key, names_key = KEYS[1], KEYS[2]
local tag, account, most = ARGV[1], ARGV[2], tonumber(ARGV[3])

redis.call('ZADD', seen_key, now_ms(), tag)
redis.call('HSET', names_key, tag, account)
local over = redis.call('ZRANGE', seen_key, 0, -most - 1)
if #over > 0 then
  redis.call('ZREMRANGEBYRANK', seen_key, 0, #over - 1)
  redis.call('HDEL', names_key, unpack(over))
end
return 1
