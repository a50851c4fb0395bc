-- Start the idle clock of a session again, never past its absolute end.
-- KEYS: record, index of the account, epoch of the account
-- ARGV: digest of the session id
-- Returns now in milliseconds, or 0 if the session has ended.
-- include _shared.lua
local record_key, index_key, epoch_key = KEYS[1], KEYS[2], KEYS[3]
local digest = ARGV[1]

local now = now_ms()
local idle, ends, seen = string.match(redis.call('GETRANGE', record_key, 0, 99), '^%d+|%d+|(%d+)|(%d+)|(%d+)|')
-- MGET, which every request reads by, takes an epoch of another type for none: here it is an error.
if not idle or tonumber(seen) < epoch_of(epoch_key) then return 0 end
local left = math.min(tonumber(idle), tonumber(ends) - now)
if left <= 0 then redis.call('DEL', record_key) return 0 end
-- In this order: a Redis out of memory would refuse SETRANGE as the first write of a script, and all reading with it.
redis.call('PEXPIRE', record_key, left)
redis.call('SETRANGE', record_key, 0, string.format('%013.0f', now))
local entry = redis.pcall('HGET', index_key, digest)
local head = type(entry) == 'string' and string.match(entry, '^(.-|%d+|%d+|)%d*|?$') -- if it has no reason
if head then redis.pcall('HSET', index_key, digest, head .. string.format('%.0f', now + left) .. '|') end
return now
