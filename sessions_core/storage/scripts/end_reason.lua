-- Say why there is no such session. One that neither clock had ended was lost, for an unknown reason.
-- KEYS: index of the account
-- ARGV: digest of the session id
-- Returns {reason, handle that the session had}.
-- include _shared.lua
local index_key = KEYS[1]
local digest = ARGV[1]

local now = now_ms()
local handle, _, ends, idles, reason = parts_of(redis.call('HGET', index_key, digest) or '')
if not handle then return {'unknown', ''} end
if reason == '' then
  -- A second is for Redis's own clock, which may have been set back that far by a failover.
  reason = now >= ends and 'absolute' or now + 1000 >= (idles or 0) and 'idle' or 'unknown'
end
return {reason, handle}
