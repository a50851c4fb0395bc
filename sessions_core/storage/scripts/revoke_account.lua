-- End every session of an account. The epoch alone ends them all, those being signed in included; the rest tidies up,
-- and lets each returning browser hear the reason.
-- KEYS: epoch of the account, index of the account
-- ARGV: channel, announcement, what the keys of the account's records begin with, reason, seconds that the epoch stays
-- Returns {how many were alive; why it could not be announced, or ''}.
-- include _shared.lua
local epoch_key, index_key = KEYS[1], KEYS[2]
local channel, announcement, session_prefix, reason, seconds = unpack(ARGV)

-- It counts on from the time: one that was gone must not begin at one again, below what living records have seen.
local epoch = math.max(epoch_of(epoch_key) + 1, now_ms())
allow_when_full(epoch_key)
redis.call('SET', epoch_key, string.format('%.0f', epoch), 'EX', seconds)
return {end_all(index_key, session_prefix, reason), announce(channel, announcement)}
