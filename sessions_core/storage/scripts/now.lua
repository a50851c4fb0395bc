-- Read Redis's clock and an epoch, before a record is encrypted: the record carries the epochs that it saw, so that a
-- revocation in between is newer than the record and wins.
-- KEYS: epoch
-- Returns {now in milliseconds, epoch}.
-- include _shared.lua
local epoch_key = KEYS[1]

return {now_ms(), epoch_of(epoch_key)}
