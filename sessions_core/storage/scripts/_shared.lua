-- Functions that several scripts share: the line `-- include _shared.lua` puts them in (`scripts/__init__.py`).

local DAY = 86400000

local function now_ms()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

-- A Redis out of memory refuses a script whose first write may need memory, and no write after one that needs none.
-- This one needs none and changes nothing: ending sessions must work when Redis is full.
local function allow_when_full(key)
  local ttl = redis.call('PTTL', key)
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) else redis.call('PERSIST', key) end
end

-- A session must not live because the epoch that ended it can't be read: anything but a number is an error.
local function epoch_of(key)
  local stored = redis.call('GET', key) or '0'
  if not string.match(stored, '^%d+$') then error(key .. ' holds no number') end
  return tonumber(stored)
end

-- The time of the last activity and the revision of a record; nothing if there is no such record.
local function head_of(record_key)
  return string.match(redis.call('GETRANGE', record_key, 0, 99), '^(%d+)|(%d+)|')
end

-- The handle, start, absolute end, idle end and reason of an entry; nothing if it is none. Entries of earlier versions
-- have no idle end.
local function parts_of(entry)
  local handle, created, ends, idles, reason = string.match(entry, '^(.-)|(%d+)|(%d+)|(%d+)|(.*)$')
  if not handle then handle, created, ends, reason = string.match(entry, '^(.-)|(%d+)|(%d+)|(.*)$') end
  return handle, tonumber(created), tonumber(ends), tonumber(idles), reason
end

-- List a session in the index of its account, `left` milliseconds before its idle end.
local function enter(index_key, digest, handle, created, ends, now, left)
  if handle == '' then return end
  local idles = string.format('%.0f', now + left)
  redis.call('HSET', index_key, digest, table.concat({handle, created, ends, idles, ''}, '|'))
  local keep = tonumber(ends) - now + DAY
  if redis.call('PTTL', index_key) < keep then redis.call('PEXPIRE', index_key, keep) end
end

-- Give an entry of the index its reason: everything up to the last bar stays.
local function close(index_key, digest, entry, reason)
  redis.pcall('HSET', index_key, digest, (string.match(entry, '^(.*|)') or '|0|0|0|') .. reason)
end

-- Keep the latest hundred entries of sessions that have ended, of those given as {absolute end, idle end, digest}: one
-- wallet that signs without pause must not slow Redis down.
local function prune(index_key, ended, now)
  table.sort(ended, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  for i = 1, #ended do
    if ended[i][1] + DAY < now or i <= #ended - 100 then redis.call('HDEL', index_key, ended[i][3]) end
  end
end

-- End every session of an index, but for the one with the digest `except`, if there is one; return how many lived.
local function end_all(index_key, session_prefix, reason, except)
  local ended = 0
  local entries = redis.pcall('HGETALL', index_key) -- an epoch has ended them already
  for i = 1, #entries, 2 do
    if entries[i] ~= except and redis.call('DEL', session_prefix .. entries[i]) == 1 then
      close(index_key, entries[i], entries[i + 1], reason)
      ended = ended + 1
    end
  end
  return ended
end

-- Tell subscribers; return why that failed, or ''. A user of Redis 7 has no channels unless its rules name them.
local function announce(channel, message)
  local sent = redis.pcall('PUBLISH', channel, message)
  return type(sent) == 'table' and sent.err or ''
end
