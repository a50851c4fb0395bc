-- Count what an account's log holds, on a Cluster, where log and budget are on different masters.
-- KEYS: budget
-- ARGV: day on which the log would have expired and what it held until now, the same from now on (`note.lua`)
-- Returns what the logs of all accounts hold.
-- include _shared.lua
-- include _budget.lua
local now = now_ms()
count(KEYS[1], now, tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
return held_by_all(KEYS[1], now)
