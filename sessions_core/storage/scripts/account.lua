-- Read what a new session of an account depends on, before its record is encrypted: the record carries the epochs that
-- it saw, so that a revocation in between is newer than the record and wins.
-- KEYS: epoch of the account, the account's other keys; on a single server the global epoch last
-- ARGV: number of the account's other keys
-- Returns {now in milliseconds, epoch, global epoch or nothing, the account's other values …}.
-- include _shared.lua
local epoch_key = KEYS[1]
local others = tonumber(ARGV[1])
local global_epoch_key = KEYS[2 + others]

local found = {now_ms(), epoch_of(epoch_key), global_epoch_key and epoch_of(global_epoch_key) or false}
-- What is of another type is not there, and no error.
local values = others > 0 and redis.call('MGET', unpack(KEYS, 2, 1 + others)) or {}
for i = 1, others do found[3 + i] = values[i] end
return found
