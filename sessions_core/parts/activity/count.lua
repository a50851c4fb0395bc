-- Count what an account's log holds, on a Cluster, where log and budget are on different masters.
-- KEYS: budget
-- ARGV: milliseconds that a log of a new account is kept, day on which the log would have expired and what it held
--   until now, the same from now on (`note.lua`)
-- Returns {what the logs of all accounts hold, and those of new accounts}.
-- include _shared.lua
-- include _budget.lua
local now = now_ms()
count(KEYS[1], now, tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]))
return {held_by_all(KEYS[1], now, tonumber(ARGV[1]))}
