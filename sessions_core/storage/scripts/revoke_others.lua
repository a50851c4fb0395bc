-- End every session of an account but this one. The epoch ends them all, those being signed in included; only this
-- record has seen the new one.
-- KEYS: record, index of the account, epoch of the account
-- ARGV: revision read, epoch seen, digest of the session id, record without its time that has seen the next epoch,
--   channel, announcement, what the keys of the account's records begin with, next epoch, seconds that it stays
-- Returns {how many others were alive, or -1 if the record changed or is gone; why it could not be announced, or ''}.
-- include _shared.lua
local record_key, index_key, epoch_key = KEYS[1], KEYS[2], KEYS[3]
local revision_read, epoch_seen, digest, record = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local channel, announcement, session_prefix, next_epoch, seconds = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]

local active, revision = head_of(record_key)
if not active or revision ~= revision_read then return {-1, ''} end
if epoch_seen < epoch_of(epoch_key) then return {-1, ''} end
allow_when_full(epoch_key)
redis.call('SET', epoch_key, next_epoch, 'EX', seconds)
redis.call('SET', record_key, active .. record, 'KEEPTTL')
return {end_all(index_key, session_prefix, 'revoked', digest), announce(channel, announcement)}
