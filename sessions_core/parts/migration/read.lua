-- Read a record of another session store if it is a string of a bearable length, and let it live on.
-- KEYS: record
-- ARGV: most bytes; milliseconds that it lives at least, or 0 to leave that as it is
-- Returns {"none"}, {"type"}, {"large"} or {"found", record}.
local key, most, lives = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

local kind = redis.call('TYPE', key)['ok']
if kind == 'none' then return {'none'} end
if kind ~= 'string' then return {'type'} end
if redis.call('STRLEN', key) > most then return {'large'} end
local left = redis.call('PTTL', key)
if left >= 0 and left < lives then redis.call('PEXPIRE', key, lives) end
return {'found', redis.call('GET', key)}
