"""The Lua scripts: each change to a session's record, index and epoch is one of them, and so one atomic step.

All keys of one account share the hash tag `{tag}`, so a script runs on one slot of a Redis Cluster:

    {tag}:session:<digest>   hash    sealed, revision, idle (ms), ends (ms), epoch, site
    {tag}:epoch              number  a record that saw a smaller one is dead
    {tag}:index              hash    digest -> handle|ends|reason; the reason is empty while the session lives
    epoch                    number  the same for everybody; outside the tag, so a Cluster passes its value instead

Redis's own clock decides. The TTL of a record is its idle clock, never past `ends`, its absolute one.
Index entries outlive their session by a day, to tell the browser that comes back why it is signed out.
"""

from __future__ import annotations

from .connection import Script

_NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

# KEYS epoch [site epoch] -> now, epoch, site epoch. Read before a record is sealed: the record carries what it saw,
# so that a revocation in between is newer than the record and wins.
MOMENT = Script(
    _NOW
    + """
return {now, tonumber(redis.call('GET', KEYS[1]) or 0), tonumber(KEYS[2] and redis.call('GET', KEYS[2]) or 0)}
"""
)

# KEYS record, epoch, index [, site epoch]; ARGV digest, slide (never | due | now), slide_ms, site epoch.
# -> 1, now, ttl, sealed, revision, idle, ends, epoch, site   or   0, reason
LOAD = Script(
    _NOW
    + """
local r = redis.call('HMGET', KEYS[1], 'sealed', 'revision', 'idle', 'ends', 'epoch', 'site')
if not r[1] then
  local entry = redis.call('HGET', KEYS[3], ARGV[1])
  if not entry then return {0, 'unknown'} end
  local ends, reason = string.match(entry, '|(%d+)|(.*)$')
  if reason ~= '' then return {0, reason or 'unknown'} end
  return {0, now >= tonumber(ends) and 'absolute' or 'idle'}
end
local revision, idle, ends, epoch, site = tonumber(r[2]), tonumber(r[3]), tonumber(r[4]), tonumber(r[5]), tonumber(r[6])
if not (revision and idle and ends and epoch and site) then return {1, now, 0, r[1], 0, 0, 0, 0, 0} end -- won't open
if epoch < tonumber(redis.call('GET', KEYS[2]) or 0) then return {0, 'everywhere'} end
if site < tonumber(KEYS[4] and redis.call('GET', KEYS[4]) or ARGV[4] or 0) then return {0, 'revoked'} end
local left = ends - now
if left <= 0 then redis.call('DEL', KEYS[1]) return {0, 'absolute'} end
local ttl, full = redis.call('PTTL', KEYS[1]), math.min(idle, left)
if ARGV[2] == 'now' or (ARGV[2] == 'due' and full - ttl >= tonumber(ARGV[3])) then
  redis.call('PEXPIRE', KEYS[1], full)
  ttl = full
end
return {1, now, ttl, r[1], revision, idle, ends, epoch, site}
"""
)

_WRITE_RECORD = """
local function write_record(record, index, digest, handle, sealed, revision, idle, ends, epoch, site)
  local left = tonumber(ends) - now
  if left <= 0 then return 0 end
  redis.call('HSET', record, 'sealed', sealed, 'revision', revision, 'idle', idle, 'ends', ends,
    'epoch', epoch, 'site', site)
  redis.call('PEXPIRE', record, math.min(tonumber(idle), left))
  if handle ~= '' then
    redis.call('HSET', index, digest, handle .. '|' .. ends .. '|')
    local keep = left + 86400000
    if redis.call('PTTL', index) < keep then redis.call('PEXPIRE', index, keep) end
  end
  return 1
end
"""

# KEYS record, index; ARGV digest, handle, sealed, revision, idle, ends, epoch, site -> 1, or 0 if the key is taken or
# too late.
CREATE = Script(
    _NOW
    + _WRITE_RECORD
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  local ends = tonumber(string.match(entries[i + 1], '|(%d+)|'))
  if not ends or ends + 86400000 < now then redis.call('HDEL', KEYS[2], entries[i]) end
end
return write_record(KEYS[1], KEYS[2], unpack(ARGV))
"""
)

# KEYS record; ARGV revision read, sealed, next revision -> 1 saved, 0 gone, -1 changed since it was read. Writes
# nothing unless the record still exists: a session revoked during a request stays revoked.
SAVE = Script(
    """
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision then return 0 end
if revision ~= ARGV[1] then return -1 end
redis.call('HSET', KEYS[1], 'sealed', ARGV[2], 'revision', ARGV[3])
return 1
"""
)

# KEYS old record, index, new record, epoch; ARGV old digest, old revision, digest, handle, sealed, revision, idle,
# ends, epoch, site -> 1 moved, 0 gone, -1 changed since it was read. The idle clock goes on as it was.
ROTATE = Script(
    _NOW
    + _WRITE_RECORD
    + """
local revision = redis.call('HGET', KEYS[1], 'revision')
if not revision then return 0 end
if revision ~= ARGV[2] then return -1 end
if tonumber(ARGV[9]) < tonumber(redis.call('GET', KEYS[4]) or 0) then return 0 end
local ttl = redis.call('PTTL', KEYS[1])
redis.call('DEL', KEYS[1])
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if entry then redis.call('HSET', KEYS[2], ARGV[1], string.match(entry, '^(.*|)') .. 'replaced') end
local written = write_record(KEYS[3], KEYS[2], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[3], ttl)
return written
"""
)

# KEYS record, index; ARGV digest, reason, channel, announcement -> 1 if it was alive.
REVOKE = Script(
    """
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
local entry = redis.call('HGET', KEYS[2], ARGV[1])
if entry then redis.call('HSET', KEYS[2], ARGV[1], string.match(entry, '^(.*|)') .. ARGV[2]) end
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 1
"""
)

# KEYS epoch; ARGV channel, announcement -> the new epoch. One write, whatever the number of sessions.
BUMP = Script(
    """
local epoch = redis.call('INCR', KEYS[1])
redis.call('PUBLISH', ARGV[1], ARGV[2])
return epoch
"""
)
