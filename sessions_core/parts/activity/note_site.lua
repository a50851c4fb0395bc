-- Add an entry to a log of the site.
-- KEYS: log
-- ARGV: entry, most entries, milliseconds that they are kept
-- Returns {}.
-- include _shared.lua
local log_key = KEYS[1]
local entry, most, keep = ARGV[1], ARGV[2], tonumber(ARGV[3])

local latest = redis.call('XREVRANGE', log_key, '+', '-', 'COUNT', 1)[1]
if latest and latest[2][2] == entry then return {} end -- sent twice: the first answer was lost
redis.call('XADD', log_key, 'MAXLEN', most, '*', 'e', entry)
redis.call('XTRIM', log_key, 'MINID', string.format('%.0f', now_ms() - keep))
redis.call('PEXPIRE', log_key, keep)
return {}
