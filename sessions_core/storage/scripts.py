"""The Lua scripts: each change to a session's record, index and epoch is one of them, and so one atomic step.

All keys of one account share the hash tag `{tag}`, so a script runs on one slot of a Redis Cluster:

    {tag}:session:<digest>   string  active|revision|idle|ends|epoch|site|sealed
    {tag}:epoch              number  a record that saw a smaller one is dead; gone after the longest session
    {tag}:index              hash    digest -> handle|created|ends|idle end|reason; no reason while the session lives
    {tag}:standing           string  sealed: the account's role and verification
    {tag}:person             string  sealed: the person that the account belongs to
    {tag}:share              string  sealed: the server's half of a pre-generated wallet's key
    {tag}:news               string  sealed: the account's last sign-ins (`news`)
    epoch                    number  like that of the account, for everybody; outside the tag

The TTL of a record is its idle clock, never past `ends`, its absolute one. `active` is when activity was last
written: 13 digits, so that it can be written in place. All times are milliseconds by Redis's own clock.
Index entries outlive their session by a day, to tell the browser that comes back why it is signed out. The idle end
of an entry tells a record that ran out of time from one that was lost (eviction, FLUSHALL, a failover).

A script can fail at any of its commands, and nothing is undone then. So each reads first, then writes what must hold,
and does the rest (index, announcement) in a way that can't fail: an error means that nothing was done.
"""

from __future__ import annotations

from ..settings import DAY, LONGEST
from .connection import Script

EPOCH_SECONDS = LONGEST + DAY
"""How long an account's epoch stays: every record that is older than it has met its absolute end by then, whatever
the settings are or become, since no session is longer than `LONGEST`; a day is for what was under way."""

_NOW = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

# A Redis out of memory refuses a script whose first write may need memory, and no write after one that needs none.
# This one needs none and changes nothing: ending sessions must work when Redis is full.
_ALLOW_WHEN_FULL = """
local function allow_when_full(key)
  local ttl = redis.call('PTTL', key)
  if ttl > 0 then redis.call('PEXPIRE', key, ttl) else redis.call('PERSIST', key) end
end
"""

# A session must not live because the epoch that ended it can't be read: anything but a number is an error.
_EPOCH = """
local function epoch_of(key)
  local stored = redis.call('GET', key) or '0'
  if not string.match(stored, '^%d+$') then error(key .. ' holds no number') end
  return tonumber(stored)
end
"""

# The handle, start, absolute end, idle end and reason of an entry; nothing if it is none. Entries of earlier versions
# have no idle end.
_PARTS = """
local function parts(entry)
  local handle, created, ends, idles, reason = string.match(entry, '^(.-)|(%d+)|(%d+)|(%d+)|(.*)$')
  if not handle then handle, created, ends, reason = string.match(entry, '^(.-)|(%d+)|(%d+)|(.*)$') end
  return handle, tonumber(created), tonumber(ends), tonumber(idles), reason
end
"""

# Tell subscribers; return why that failed, or ''. A user of Redis 7 has no channels unless its rules name them.
_ANNOUNCE = """
local function announce(channel, message)
  local sent = redis.pcall('PUBLISH', channel, message)
  return type(sent) == 'table' and sent.err or ''
end
"""

# KEYS epoch -> now, epoch. Read before a record is sealed: the record carries the epochs it saw, so that a revocation
# in between is newer than the record and wins.
MOMENT = Script(
    _NOW
    + _EPOCH
    + """
return {now, epoch_of(KEYS[1])}
"""
)

# KEYS record, index, epoch; ARGV digest -> now, or 0 if it is gone. The idle clock starts again, never past the
# absolute end.
TOUCH = Script(
    _NOW
    + _EPOCH
    + """
local idle, ends, seen = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^%d+|%d+|(%d+)|(%d+)|(%d+)|')
-- MGET, which every request reads by, takes an epoch of another type for none: here it is an error.
if not idle or tonumber(seen) < epoch_of(KEYS[3]) then return 0 end
local left = math.min(tonumber(idle), tonumber(ends) - now)
if left <= 0 then redis.call('DEL', KEYS[1]) return 0 end
-- In this order: a Redis out of memory would refuse SETRANGE as the first write of a script, and all reading with it.
redis.call('PEXPIRE', KEYS[1], left)
redis.call('SETRANGE', KEYS[1], 0, string.format('%013.0f', now))
local entry = redis.pcall('HGET', KEYS[2], ARGV[1])
local head = type(entry) == 'string' and string.match(entry, '^(.-|%d+|%d+|)%d*|?$') -- if it has no reason
if head then redis.pcall('HSET', KEYS[2], ARGV[1], head .. string.format('%.0f', now + left) .. '|') end
return now
"""
)

# KEYS index; ARGV digest -> why there is no such session, and the handle it had. One that neither clock had ended was
# lost, for an unknown reason. A second is for Redis's own clock, which may have been set back that far by a failover.
WHY = Script(
    _NOW
    + _PARTS
    + """
local entry = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local handle, _, ends, idles, reason = parts(entry)
if not handle then return {'unknown', ''} end
if reason == '' then
  reason = now >= ends and 'absolute' or now + 1000 >= (idles or 0) and 'idle' or 'unknown'
end
return {reason, handle}
"""
)

# KEYS index, epoch, standing, pointer, news, epoch of the site where it is in reach; ARGV handle, what the keys of
# records begin with -> record, epoch, epoch of the site, standing, pointer, news, and the digest of the session with
# this handle: the living one, else the last that had it. A session keeps its handle when it moves to another id.
BY_HANDLE = Script(
    """
local record, digest = false, ''
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  if not record and string.match(entries[i + 1], '^(.-)|') == ARGV[1] then
    record = redis.call('GET', ARGV[2] .. entries[i])
    if record or string.sub(entries[i + 1], -8) ~= '|rotated' then digest = entries[i] end
  end
end
local epoch = redis.call('GET', KEYS[2])
-- What is of another type is not there, and no error.
local beside = redis.call('MGET', KEYS[3], KEYS[4], KEYS[5])
local site = KEYS[6] and redis.call('GET', KEYS[6]) or false
return {record, epoch, site, beside[1], beside[2], beside[3], digest}
"""
)

_ENTER = """
local function enter(index, digest, handle, created, ends, left)
  if handle == '' then return end
  local idles = string.format('%.0f', now + left)
  redis.call('HSET', index, digest, table.concat({handle, created, ends, idles, ''}, '|'))
  local keep = tonumber(ends) - now + 86400000
  if redis.call('PTTL', index) < keep then redis.call('PEXPIRE', index, keep) end
end
"""

# How an entry of the index gets its reason: everything up to the last bar stays.
_CLOSE = """
local function close(index, digest, entry, reason)
  redis.pcall('HSET', index, digest, (string.match(entry, '^(.*|)') or '|0|0|0|') .. reason)
end
"""

# Keep the latest hundred entries of sessions that have ended, of those given as {absolute end, idle end, digest}: one
# wallet that signs without pause must not slow Redis down.
_PRUNE = """
local function prune(index, ended)
  table.sort(ended, function(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end)
  for i = 1, #ended do
    if ended[i][1] + 86400000 < now or i <= #ended - 100 then redis.call('HDEL', index, ended[i][3]) end
  end
end
"""

# End every session of an index, but for the one with this digest, if there is one; return how many lived.
_END_ALL = (
    _CLOSE
    + """
local function end_all(index, records, reason, but)
  local ended = 0
  local entries = redis.pcall('HGETALL', index) -- an epoch has ended them already
  for i = 1, #entries, 2 do
    if entries[i] ~= but and redis.call('DEL', records .. entries[i]) == 1 then
      close(index, entries[i], entries[i + 1], reason)
      ended = ended + 1
    end
  end
  return ended
end
"""
)

# KEYS record, index, and for an account its news; ARGV digest, handle, idle, created, ends, record without its time,
# most sessions, what the keys of records begin with, the sign-in as news, most news, seconds kept -> the handles of
# sessions that ended for it, or 0 if the key is taken or the end is past. The account's oldest sessions beyond the
# most end. What has just moved to another id is not dropped from the index: its browser may still come with the
# former one.
CREATE = Script(
    _NOW
    + _ENTER
    + _CLOSE
    + _PARTS
    + _PRUNE
    + """
local left = math.min(tonumber(ARGV[3]), tonumber(ARGV[5]) - now)
if left <= 0 then return 0 end
redis.call('HLEN', KEYS[2]) -- an index that can't be used fails here, before anything was written
local record = string.format('%013.0f', now) .. ARGV[6]
if not redis.call('SET', KEYS[1], record, 'NX', 'PX', left) then return 0 end
enter(KEYS[2], ARGV[1], ARGV[2], ARGV[4], ARGV[5], left)
if KEYS[3] then
  local before, news = redis.pcall('GET', KEYS[3]), {ARGV[9]}
  -- Nobody is kept from signing in by what else may be there.
  for each in string.gmatch(type(before) == 'string' and before or '', '[^|]+') do
    if #news < tonumber(ARGV[10]) then table.insert(news, each) end
  end
  redis.call('SET', KEYS[3], table.concat(news, '|'), 'EX', ARGV[11])
end
local living, ended, over = {}, {}, {}
local entries = redis.call('HGETALL', KEYS[2])
for i = 1, #entries, 2 do
  local handle, created, ends, idles, reason = parts(entries[i + 1])
  if reason == '' and redis.call('EXISTS', ARGV[8] .. entries[i]) == 1 then
    table.insert(living, {created, entries[i], entries[i + 1], handle})
  elseif reason ~= 'rotated' or now - (idles or 0) > 60000 then
    table.insert(ended, {ends or 0, idles or 0, entries[i]})
  end
end
-- The newest is never the one to go, even if a clock was set back.
local function oldest_first(a, b) return a[2] ~= ARGV[1] and (b[2] == ARGV[1] or a[1] < b[1]) end
table.sort(living, oldest_first)
for i = 1, #living - tonumber(ARGV[7]) do
  redis.call('DEL', ARGV[8] .. living[i][2])
  close(KEYS[2], living[i][2], living[i][3], 'limit')
  table.insert(over, living[i][4])
end
prune(KEYS[2], ended)
return over
"""
)

# KEYS record, and both epochs but on a Cluster; ARGV revision read, record without its time, 1 if a full
# Redis is to take it, the epochs seen -> 1 saved, 0 gone, -1 changed since it was read. Writes nothing unless the
# record still exists, and no epoch has ended it: a session revoked during a request stays revoked. A full Redis takes
# what does not grow as well, such as a record that a new secret encrypts.
SAVE = Script(
    _ALLOW_WHEN_FULL
    + _EPOCH
    + """
local active, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^(%d+)|(%d+)|')
if not active then return 0 end
if revision ~= ARGV[1] then return -1 end
if KEYS[2] and (tonumber(ARGV[4]) < epoch_of(KEYS[2]) or tonumber(ARGV[5]) < epoch_of(KEYS[3])) then return 0 end
if ARGV[3] == '1' or #active + #ARGV[2] <= redis.call('STRLEN', KEYS[1]) then allow_when_full(KEYS[1]) end
redis.call('SET', KEYS[1], active .. ARGV[2], 'KEEPTTL')
return 1
"""
)

# KEYS record of a visitor; ARGV revision read -> 1 ended, 0 gone, -1 written to since it was read.
REVOKE_VISITOR = Script(
    """
local revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^%d+|(%d+)|')
if not revision then return 0 end
if revision ~= ARGV[1] then return -1 end
redis.call('DEL', KEYS[1])
return 1
"""
)

# KEYS old record, index, new record, epoch; ARGV revision read, epoch seen, old digest, digest, handle, created,
# ends, record without its time, idle if the clocks start again or 0 -> 1 moved, 0 gone, -1 changed since it was read.
# The entry of the old id has the time of the change in the place of its idle end.
ROTATE = Script(
    _NOW
    + _EPOCH
    + _ENTER
    + _PARTS
    + _PRUNE
    + """
if redis.call('EXISTS', KEYS[3]) == 1 then return 1 end -- sent twice, since the first answer was lost
local active, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^(%d+)|(%d+)|')
if not active then return 0 end
if revision ~= ARGV[1] then return -1 end
if tonumber(ARGV[2]) < epoch_of(KEYS[4]) then return 0 end
local left, ttl, idle = tonumber(ARGV[7]) - now, redis.call('PTTL', KEYS[1]), tonumber(ARGV[9])
if idle > 0 then
  active, left = string.format('%013.0f', now), math.min(left, idle)
elseif ttl > 0 then -- it has one, unless somebody took it off
  left = math.min(left, ttl)
end
if left <= 0 then return 0 end
local entry = redis.call('HGET', KEYS[2], ARGV[3])
redis.call('DEL', KEYS[1]) -- first, since a full Redis allows no other first write
redis.call('SET', KEYS[3], active .. ARGV[8], 'PX', left)
local head = entry and string.match(entry, '^.-|%d+|%d+|')
if head then redis.pcall('HSET', KEYS[2], ARGV[3], head .. string.format('%.0f', now) .. '|rotated') end
enter(KEYS[2], ARGV[4], ARGV[5], ARGV[6], ARGV[7], left)
if redis.call('HLEN', KEYS[2]) > 200 then -- not each time: it costs more than all the rest
  local entries, ended = redis.call('HGETALL', KEYS[2]), {}
  for i = 1, #entries, 2 do
    local handle, _, ends, idles, reason = parts(entries[i + 1])
    if handle and reason ~= '' and (reason ~= 'rotated' or now - (idles or 0) > 60000) then
      table.insert(ended, {ends, idles or 0, entries[i]})
    end
  end
  prune(KEYS[2], ended)
end
return 1
"""
)

# KEYS record, index; ARGV digest, reason, channel, announcement, handle, what the keys of records begin with -> 1 if
# it was alive, 0 if it had ended, -1 if this account never had it; and why it could not be announced, or ''. Without
# a digest, or if another request moved the session to another id in the same slot, it is found by its handle: a
# sign-out ends it all the same.
REVOKE = Script(
    _CLOSE
    + _ANNOUNCE
    + """
local digest, known = ARGV[1], -1
if digest == '' or redis.call('DEL', KEYS[1]) == 0 then
  digest = nil
  local entries = ARGV[5] ~= '' and redis.call('HGETALL', KEYS[2]) or {}
  for i = 1, #entries, 2 do
    if string.match(entries[i + 1], '^(.-)|') == ARGV[5] then
      known = 0
      if redis.call('DEL', ARGV[6] .. entries[i]) == 1 then digest = entries[i] end
    end
  end
  if not digest then return {known, ''} end
end
local entry = redis.pcall('HGET', KEYS[2], digest)
if type(entry) == 'string' then close(KEYS[2], digest, entry, ARGV[2]) end
-- A visitor's session is nobody's business.
return {1, ARGV[5] ~= '' and announce(ARGV[3], ARGV[4]) or ''}
"""
)

# KEYS record, index, epoch; ARGV revision read, epoch seen, digest, record without its time that has seen the next
# epoch, channel, announcement, what the keys of records begin with, the next epoch, seconds it stays -> how many
# others were alive, or -1 if the record changed or is gone, and why it could not be announced, or ''. The epoch ends
# them all, those being signed in included; only this record has seen the new one.
OTHERS = Script(
    _ALLOW_WHEN_FULL
    + _EPOCH
    + _END_ALL
    + _ANNOUNCE
    + """
local active, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^(%d+)|(%d+)|')
if not active or revision ~= ARGV[1] then return {-1, ''} end
if tonumber(ARGV[2]) < epoch_of(KEYS[3]) then return {-1, ''} end
allow_when_full(KEYS[3])
redis.call('SET', KEYS[3], ARGV[8], 'EX', ARGV[9])
redis.call('SET', KEYS[1], active .. ARGV[4], 'KEEPTTL')
return {end_all(KEYS[2], ARGV[7], 'revoked', ARGV[3]), announce(ARGV[5], ARGV[6])}
"""
)

# KEYS epoch, index; ARGV channel, announcement, what the keys of records begin with, reason, seconds the epoch stays
# -> how many were alive, and why it could not be announced, or ''. The epoch alone ends them all, those being signed
# in included; the rest tidies up, and lets each returning browser hear the reason. It counts on from the time: one
# that was gone must not begin at one again, below what living records have seen of it.
EVERYWHERE = Script(
    _ALLOW_WHEN_FULL
    + _NOW
    + _EPOCH
    + _END_ALL
    + _ANNOUNCE
    + """
local epoch = math.max(epoch_of(KEYS[1]) + 1, now)
allow_when_full(KEYS[1])
redis.call('SET', KEYS[1], string.format('%.0f', epoch), 'EX', ARGV[5])
return {end_all(KEYS[2], ARGV[3], ARGV[4]), announce(ARGV[1], ARGV[2])}
"""
)

# KEYS record, index, epoch; ARGV revision read, digest, handle, created, ends, idle, epoch seen, and the reason if an
# epoch of the site ended it -> what was wrong with a record that could be opened: 'dead' (older than an epoch, past a
# clock, or back again though its index says that it ended), 'clock' (its key would never have expired), 'lost' (not
# in the index, so that its person could neither see nor end it). All of it is put right. A record that was written
# since it was read is in use and left alone: "end all others" may just have given it the epoch that it lacks here.
MEND = Script(
    _NOW
    + _ALLOW_WHEN_FULL
    + _EPOCH
    + _ENTER
    + _CLOSE
    + _PARTS
    + """
local active, revision = string.match(redis.call('GETRANGE', KEYS[1], 0, 99), '^(%d+)|(%d+)|')
if not active or revision ~= ARGV[1] then return {} end
local entry = redis.call('HGET', KEYS[2], ARGV[2])
local reason = ARGV[8]
if reason == '' and tonumber(ARGV[7]) < epoch_of(KEYS[3]) then reason = 'everywhere' end
local handle, created, ends, _, noted = parts(entry or '')
local known = handle and noted ~= '' and noted
local ttl = redis.call('PTTL', KEYS[1])
local left = tonumber(ARGV[5]) - now
if ttl == -1 then left = math.min(left, tonumber(active) + tonumber(ARGV[6]) - now) end
if left <= 0 or reason ~= '' or known then
  redis.call('DEL', KEYS[1])
  if entry and reason ~= '' and not known then close(KEYS[2], ARGV[2], entry, reason) end
  return {'dead'}
end
local wrong = {}
if ttl == -1 then
  redis.call('PEXPIRE', KEYS[1], left)
  table.insert(wrong, 'clock')
end
if ARGV[3] ~= '' and (handle ~= ARGV[3] or created ~= tonumber(ARGV[4]) or ends ~= tonumber(ARGV[5])) then
  allow_when_full(KEYS[1])
  enter(KEYS[2], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ttl > 0 and ttl or left)
  table.insert(wrong, 'lost')
end
return wrong
"""
)

# KEYS record; ARGV milliseconds. A record that can't be opened here goes by its clock, and here gets one if it had
# none.
BOUND = Script("if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end return 1")

# KEYS index -> how many entries were dropped: those whose session ended more than a day ago, and what is no entry.
TIDY = Script(
    _NOW
    + """
local dropped, latest = 0, 0
local entries = redis.call('HGETALL', KEYS[1])
for i = 1, #entries, 2 do
  local ends = tonumber(string.match(entries[i + 1], '^.-|%d+|(%d+)|.*$') or 0)
  if ends + 86400000 < now then
    redis.call('HDEL', KEYS[1], entries[i])
    dropped = dropped + 1
  else
    latest = math.max(latest, ends)
  end
end
if redis.call('PTTL', KEYS[1]) == -1 then redis.call('PEXPIRE', KEYS[1], latest - now + 86400000) end
return dropped
"""
)

# KEYS value; ARGV expected, new -> 1 if it was as expected and now is the new one, with the clock that the other had.
# An empty expected is "not there".
SWAP = Script(
    _ALLOW_WHEN_FULL
    + """
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if #ARGV[2] <= #ARGV[1] then allow_when_full(KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
return 1
"""
)

# KEYS hash; ARGV field, expected, new -> 1 if the field was as expected and now is the new one. One that was dropped
# meanwhile stays dropped.
SWAP_FIELD = Script(
    """
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""
)

# KEYS seen, names; ARGV tag, sealed account, most. The latest sign-ins, for administrators; no more than the most, or
# fresh accounts, which cost nothing, would fill memory.
SEEN = Script(
    _NOW
    + """
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
local over = redis.call('ZRANGE', KEYS[1], 0, -tonumber(ARGV[3]) - 1)
if #over > 0 then
  redis.call('ZREMRANGEBYRANK', KEYS[1], 0, #over - 1)
  redis.call('HDEL', KEYS[2], unpack(over))
end
return 1
"""
)

# KEYS nonce; ARGV seconds -> 1 if it was not spent before. For a signature that ends sessions: it works when Redis is
# full.
SPEND = Script(
    _ALLOW_WHEN_FULL
    + """
allow_when_full(KEYS[1])
return redis.call('SET', KEYS[1], 1, 'NX', 'EX', ARGV[1]) and 1 or 0
"""
)

# KEYS epoch; ARGV channel, announcement -> the new epoch, and why it could not be announced, or ''. One write,
# whatever the number of sessions.
BUMP = Script(
    _ALLOW_WHEN_FULL
    + _ANNOUNCE
    + """
allow_when_full(KEYS[1])
return {redis.call('INCR', KEYS[1]), announce(ARGV[1], ARGV[2])}
"""
)
