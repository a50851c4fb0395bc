-- Drop the entries of an index whose session ended more than a day ago, and what is no entry.
-- KEYS: index of the account
-- Returns how many were dropped.
-- include _shared.lua
local index_key = KEYS[1]

local now, dropped, latest = now_ms(), 0, 0
local entries = redis.call('HGETALL', index_key)
for i = 1, #entries, 2 do
  local ends = tonumber(string.match(entries[i + 1], '^.-|%d+|(%d+)|.*$') or 0)
  if ends + DAY < now then
    redis.call('HDEL', index_key, entries[i])
    dropped = dropped + 1
  else
    latest = math.max(latest, ends)
  end
end
if redis.call('PTTL', index_key) == -1 then redis.call('PEXPIRE', index_key, latest - now + DAY) end
return dropped
