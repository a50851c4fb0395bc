-- End every session there is. One write, whatever the number of sessions.
-- KEYS: global epoch
-- ARGV: channel, announcement
-- Returns {new epoch; why it could not be announced, or ''}.
-- include _shared.lua
local epoch_key = KEYS[1]
local channel, announcement = ARGV[1], ARGV[2]

allow_when_full(epoch_key)
return {redis.call('INCR', epoch_key), announce(channel, announcement)}
