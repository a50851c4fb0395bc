-- Write a record back, only if it still exists at the revision that was read and no epoch has ended it: a session
-- revoked during a request stays revoked.
-- KEYS: record, and but on a Cluster the epoch of the account and the global epoch
-- ARGV: revision read, record without its time, 1 if a full Redis is to take it, epoch seen, global epoch seen
-- Returns 1 if saved, 0 if it is gone, -1 if it was changed since it was read.
-- include _shared.lua
local record_key, epoch_key, global_epoch_key = KEYS[1], KEYS[2], KEYS[3]
local revision_read, record, when_full = ARGV[1], ARGV[2], ARGV[3] == '1'
local epoch_seen, global_epoch_seen = tonumber(ARGV[4]), tonumber(ARGV[5])

local active, revision = head_of(record_key)
if not active then return 0 end
if revision ~= revision_read then return -1 end
if epoch_key and (epoch_seen < epoch_of(epoch_key) or global_epoch_seen < epoch_of(global_epoch_key)) then return 0 end
-- A full Redis takes what does not grow as well, such as a record that a new secret encrypts.
if when_full or #active + #record <= redis.call('STRLEN', record_key) then allow_when_full(record_key) end
redis.call('SET', record_key, active .. record, 'KEEPTTL')
return 1
