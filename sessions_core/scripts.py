"""The Lua scripts: each change to a session's record, index and epoch is one of them, and so one atomic step.

All keys of one account share the hash tag `{tag}`, so a script runs on one slot of a Redis Cluster:

    {tag}:session:<digest>   string  active|revision|idle|ends|epoch|site|sealed
    {tag}:epoch              number  a record that saw a smaller one is dead
    {tag}:index              hash    digest -> handle|ends|reason; the reason is empty while the session lives
    epoch                    number  the same for everybody; outside the tag

The TTL of a record is its idle clock, never past `ends`, its absolute one. `active` is when activity was last
written: 13 digits, so that it can be written in place. All times are milliseconds by Redis's own clock.
Index entries outlive their session by a day, to tell the browser that comes back why it is signed out.
"""

from __future__ import annotations

from .connection import Script

_NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

# KEYS epoch -> now, epoch. Read before a record is sealed: the record carries the epochs it saw, so that a revocation
# in between is newer than the record and wins.
MOMENT = Script(
    _NOW
    + """
return {now, tonumber(redis.call('GET', KEYS[1]) or 0)}
"""
)

# KEYS record -> now, or 0 if it is gone. The idle clock starts again, never past the absolute end.
TOUCH = Script(
    _NOW
    + """
local idle, ends = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^%d+|%d+|(%d+)|(%d+)|')
if not idle then return 0 end
local left = math.min(tonumber(idle), tonumber(ends) - now)
if left <= 0 then redis.call('DEL', KEYS[1]) return 0 end
-- In this order: a Redis out of memory would refuse SETRANGE as the first write of a script, and all reading with it.
redis.call('PEXPIRE', KEYS[1], left)
redis.call('SETRANGE', KEYS[1], 0, string.format('%013.0f', now))
return now
"""
)

# KEYS index; ARGV digest -> why there is no such session.
WHY = Script(
    _NOW
    + """
local ends, reason = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '|(%d+)|(.*)$')
if not ends then return 'unknown' end
if reason ~= '' then return reason end
return now >= tonumber(ends) and 'absolute' or 'idle'
"""
)

_ENTER = """
local function enter(index, digest, handle, ends)
  if handle == '' then return end
  redis.call('HSET', index, digest, handle .. '|' .. ends .. '|')
  local keep = tonumber(ends) - now + 86400000
  if redis.call('PTTL', index) < keep then redis.call('PEXPIRE', index, keep) end
end
"""

# KEYS record, index; ARGV digest, handle, idle, ends, record without its time, most sessions, what the keys of
# records begin with -> 1, or 0 if the key is taken or the end is past. The account's oldest sessions beyond the most
# end, and the index keeps no more than a hundred that have: one wallet that signs in without pause must not slow
# Redis down.
CREATE = Script(
    _NOW
    + _ENTER
    + """
local left = math.min(tonumber(ARGV[3]), tonumber(ARGV[4]) - now)
if left <= 0 then return 0 end
local record = string.format('%013.0f', now) .. ARGV[5]
if not redis.call('SET', KEYS[1], record, 'NX', 'PX', left) then return 0 end
enter(KEYS[2], ARGV[1], ARGV[2], ARGV[4])
local living, ended = {}, {}
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  local ends, reason = string.match(entries[i + 1], '|(%d+)|(.*)$')
  local entry = {tonumber(ends or 0), entries[i], entries[i + 1]}
  local alive = reason == '' and redis.call('EXISTS', ARGV[7] .. entries[i]) == 1
  table.insert(alive and living or ended, entry)
end
local function oldest_first(a, b) return a[1] < b[1] end
table.sort(living, oldest_first)
for i = 1, #living - tonumber(ARGV[6]) do
  redis.call('DEL', ARGV[7] .. living[i][2])
  redis.call('HSET', KEYS[2], living[i][2], living[i][3] .. 'revoked')
end
table.sort(ended, oldest_first)
for i = 1, #ended do
  if ended[i][1] + 86400000 < now or i <= #ended - 100 then redis.call('HDEL', KEYS[2], ended[i][2]) end
end
return 1
"""
)

# KEYS record; ARGV revision read, record without its time -> 1 saved, 0 gone, -1 changed since it was read. Writes
# nothing unless the record still exists: a session revoked during a request stays revoked.
SAVE = Script(
    """
local active, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^(%d+)|(%d+)|')
if not active then return 0 end
if revision ~= ARGV[1] then return -1 end
redis.call('SET', KEYS[1], active .. ARGV[2], 'KEEPTTL')
return 1
"""
)

# KEYS old record, index, new record, epoch; ARGV revision read, epoch seen, old digest, digest, handle, ends, record
# without its time -> 1 moved, 0 gone, -1 changed since it was read. The idle clock goes on as it was.
ROTATE = Script(
    _NOW
    + _ENTER
    + """
if redis.call('EXISTS', KEYS[3]) == 1 then return 1 end -- sent twice, since the first answer was lost
local active, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^(%d+)|(%d+)|')
if not active then return 0 end
if revision ~= ARGV[1] then return -1 end
if tonumber(ARGV[2]) < tonumber(redis.call('GET', KEYS[4]) or 0) then return 0 end
local left, ttl = tonumber(ARGV[6]) - now, redis.call('PTTL', KEYS[1])
if ttl > 0 then left = math.min(left, ttl) end -- it has one, unless somebody took it off
if left <= 0 then return 0 end
redis.call('SET', KEYS[3], active .. ARGV[7], 'PX', left)
redis.call('DEL', KEYS[1])
local entry = redis.call('HGET', KEYS[2], ARGV[3])
if entry then redis.call('HSET', KEYS[2], ARGV[3], string.match(entry, '^(.*|)') .. 'replaced') end
enter(KEYS[2], ARGV[4], ARGV[5], ARGV[6])
return 1
"""
)

# KEYS record, index; ARGV digest, reason, channel, announcement, handle -> 1 if it was alive. A session that another
# request rotated lives on under another id in the same slot: it is found by its handle, and a sign-out ends it.
REVOKE = Script(
    """
local digest = ARGV[1]
if redis.call('DEL', KEYS[1]) == 0 then
  digest = nil
  local entries = ARGV[5] ~= '' and redis.call('HGETALL', KEYS[2]) or {}
  for i = 1, #entries, 2 do
    local moved = string.match(entries[i + 1], '^(.-)|') == ARGV[5]
    if moved and redis.call('DEL', string.sub(KEYS[1], 1, -65) .. entries[i]) == 1 then digest = entries[i] end
  end
  if not digest then return 0 end
end
local entry = redis.call('HGET', KEYS[2], digest)
if entry then redis.call('HSET', KEYS[2], digest, string.match(entry, '^(.*|)') .. ARGV[2]) end
if ARGV[5] ~= '' then redis.call('PUBLISH', ARGV[3], ARGV[4]) end -- a visitor's session is nobody's business
return 1
"""
)

# KEYS epoch, index; ARGV channel, announcement, what the keys of records begin with. The epoch alone ends them all,
# those being signed in included; the rest tidies up, and lets each returning browser hear the reason.
EVERYWHERE = Script(
    """
redis.call('INCR', KEYS[1])
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  if redis.call('DEL', ARGV[3] .. entries[i]) == 1 then
    redis.call('HSET', KEYS[2], entries[i], entries[i + 1] .. 'everywhere')
  end
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
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
