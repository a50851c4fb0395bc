"""The activity log: of each account for its user, of the site for administrators. Bounded and encrypted.

    {tag}:activity    stream  what an account did, and what was done to it
    {tag}:routine     stream  what a session may do without end, such as staying alive; a tenth as long
    {tag}:refusals    stream  what was refused in its name; a tenth as long, and only beside some activity
    activity, routine, refusals       the same for the whole site, ten times as long; outside the tag

There are three because each has its own attacker: an attacker who knows an address can fail to sign in all day, one
who stole a session can renew it all day, and neither may push out the entry that would have warned the user.

An entry is one field, e: msgpack of [event, fields, ip, device], encrypted for its stream. An attacker who reads
Redis learns how often something happened, and when. One who writes to Redis can drop an entry or repeat it in its
stream, but can't forge one or move it to another account.
"""

from __future__ import annotations

import heapq
import logging
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ... import events
from ...errors import StoreUnavailable
from ...sessions.record import account_tag
from ...settings import DAY
from ...storage.connection import RedisConnection
from ...storage.encryption import DecryptionFailed, KeyRing
from ...storage.replies import items, number, pairs
from ...storage.scripts import Script
from .options import ActivitySettings

if TYPE_CHECKING:
    from ...web.request_client import Client

logger = logging.getLogger(__name__)

_KINDS = ("refusals", "routine", "activity")  # in the order in which they are shown if Redis gave them one id
_CURSOR = re.compile(r"([0-9]{1,20})-([0-9]{1,20})-([0-2])", re.ASCII)
_CHUNK = 100  # entries in one answer of Redis: 25 kB
_LONGEST = 200  # characters of one field
_DAYS_NEW = 3  # days that the activity of an account is kept which has not come back on another day
_BITS = 64  # of a number in msgpack, with its sign, and of each half of an id in Redis

# KEYS stream, and for an account a stream that must be there, unless it is the same, a spare key, and its activity;
# ARGV seconds kept, most entries, entry, seconds kept of an account that has not come back. Refusals need activity
# beside them: an attacker could fill Redis with refusals of accounts that never signed in. Redis gives the first
# entry of a stream 4 kB, and a copy of it what it needs: a wallet costs nothing to make, and what it leaves behind
# must not stay for a month. An account that was active on two days has come back.
_WRITE = Script("""
if KEYS[2] and KEYS[2] ~= KEYS[1] and redis.call('EXISTS', KEYS[2]) == 0 then return end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last and last[2][2] == ARGV[3] then return end -- sent twice, since the first answer was lost
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[2], '*', 'e', ARGV[3])
redis.call('XTRIM', KEYS[1], 'MINID', string.format('%.0f', (redis.call('TIME')[1] - ARGV[1]) * 1000))
if KEYS[3] and not last then
  redis.call('COPY', KEYS[1], KEYS[3], 'REPLACE')
  redis.call('RENAME', KEYS[3], KEYS[1])
end
local kept = tonumber(ARGV[1])
if KEYS[4] then
  local first = redis.call('XRANGE', KEYS[4], '-', '+', 'COUNT', 1)[1]
  local came_back = first and redis.call('TIME')[1] - string.match(first[1], '^%d+') / 1000 >= 86400
  if not came_back then kept = math.max(tonumber(ARGV[4]), redis.call('TTL', KEYS[1])) end
end
redis.call('EXPIRE', KEYS[1], kept)
""")

# KEYS any -> seconds since the epoch. A script, so that a Cluster knows which node to ask. The entries themselves are
# read without one: through Lua they take five times as long.
_CLOCK = Script("return tonumber(redis.call('TIME')[1])")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `id` is good as a cursor, `at` is milliseconds since the epoch by Redis's clock,
    `fields` are those of the event, `count` is how many renewals in a row it stands for.
    """

    id: str
    at: int
    name: str
    fields: dict[str, Any]
    ip: str
    device: str
    count: int = 1

    @property
    def refused(self) -> bool:
        """Whether this is something that was tried, and not let happen."""
        # A record that can't be decrypted is refused too, but an attacker can't cause that without limit.
        return _kept(self.name) == "refusals" or self.name == events.RecordUnreadable.name


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first; `older` is the cursor of the page after this one, or empty."""

    entries: tuple[Entry, ...]
    older: str


class _Position(NamedTuple):
    """Where an entry stands, as entries are ordered: the two halves of its id in Redis, and the place of its kind."""

    at: int
    number: int
    kind: int

    def __str__(self) -> str:
        return f"{self.at}-{self.number}-{self.kind}"


class ActivityLog:
    """Writes down what happened and reads it back; reading raises `StoreUnavailable` when Redis does not answer."""

    def __init__(
        self, connection: RedisConnection, keys: KeyRing, redis_prefix: str, options: ActivitySettings
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._prefix = redis_prefix
        self._seconds = options.activity_days * DAY
        self._seconds_new = min(self._seconds, _DAYS_NEW * DAY)
        self._most = options.activity_events
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[str, dict[str, Any], str, str]).decode

    def note(self, event: events.Event, client: Client) -> None:
        """Write an event down, with where it came from. What can't be written is logged: the event has happened all
        the same, and no user is turned away because the entry could not be written. One round trip; on a Cluster one
        for each account and one for the site.
        """
        kind = event.kept
        most = self._most if kind == "activity" else max(1, self._most // 10)
        accounts = {getattr(event, "account", None), getattr(event, "other", None)} - {None, ""}
        fields = {name: _plain(value) for name, value in asdict(event).items()}
        entry = self._encode((event.name, fields, _plain(client.ip), _plain(client.device)))
        writes = []
        for account in accounts:
            base = self._base(account)
            needed = "activity" if kind == "refusals" else kind
            writes.append(self._entry(entry, most, base + kind, base + needed, f"{base}spare", f"{base}activity"))
        writes.append(self._entry(entry, most * 10, self._base(None) + kind))
        try:
            self._connection.run_each(_WRITE, writes)
        except StoreUnavailable as error:
            logger.warning("%s could not be written down: %s", event.name, error)

    def account(self, account: str, names: Collection[str] = (), before: str = "", limit: int = 50) -> Page:
        """Return what happened to a CAIP-10 account, newest first.

        Without `names` that is every event. `before` is the cursor of an earlier page or entry; what is no cursor
        counts as none. Renewals of one session in a row, from one place, are one entry.
        """
        return self._page(self._newest_first(self._base(account), names, before), limit)

    def site(self, names: Collection[str] = (), before: str = "", limit: int = 50) -> Page:
        """Return the activity of the whole site; everything else is as in `account`."""
        return self._page(self._newest_first(self._base(None), names, before), limit)

    def iterate(self, account: str | None) -> Iterator[Entry]:
        """Go through all that is kept of an account, or with `None` of the site: newest first, each entry alone."""
        return self._newest_first(self._base(account), (), "")

    def _base(self, account: str | None) -> str:
        # With the tag of the account's sessions, and so on their slot of a Cluster.
        return f"{self._prefix}{{{account_tag(account)}}}:" if account else self._prefix

    def _entry(self, entry: bytes, most: int, stream: str, *beside: str) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        # The keys and arguments of the script that writes an entry into a stream.
        encrypted = self._keys.encrypt(entry, stream.encode())
        return (stream, *beside), (self._seconds, most, encrypted, self._seconds_new)

    def _page(self, found: Iterator[Entry], limit: int) -> Page:
        entries: list[Entry] = []
        last = ""
        for entry in found:
            if entries and _renewed_again(entries[-1], entry):
                entries[-1] = replace(entries[-1], count=entries[-1].count + 1)
            elif len(entries) >= max(1, limit):
                return Page(tuple(entries), last)
            else:
                entries.append(entry)
            last = entry.id
        return Page(tuple(entries), "")

    def _newest_first(self, base: str, names: Collection[str], before: str) -> Iterator[Entry]:
        cursor = _position(before)
        oldest = (number(self._connection.run(_CLOCK, (f"{base}activity",))) - self._seconds) * 1000
        kinds = {_kept(name) for name in names} if names else _KINDS
        streams = [self._stream(base, kind, cursor, oldest) for kind in kinds]
        merged = heapq.merge(*streams, key=lambda found: found[0], reverse=True)
        return (entry for _, entry in merged if not names or entry.name in names)

    def _stream(
        self, base: str, kind: str, cursor: _Position | None, oldest: int
    ) -> Iterator[tuple[_Position, Entry]]:
        key, rank = base + kind, _KINDS.index(kind)
        start = "+"
        if cursor is not None:  # an entry with its id was shown before it, unless its kind comes after
            start = f"{'' if rank < cursor.kind else '('}{cursor.at}-{cursor.number}"
        told = False
        while True:
            rows = items(self._connection.call("XREVRANGE", key, start, oldest, "COUNT", _CHUNK))
            for stream_id, row in rows:
                at, number = map(int, stream_id.split(b"-"))
                position = _Position(at, number, rank)
                entry = self._open(key, position, next(pairs(row))[1])
                if entry is not None:
                    yield position, entry
                elif not told:
                    logger.warning("%s has entries that can't be opened; they are left out", key)
                    told = True
            if len(rows) < _CHUNK:
                return
            start = f"({rows[-1][0].decode()}"

    def _open(self, key: str, position: _Position, encrypted: bytes) -> Entry | None:
        try:
            name, fields, ip, device = self._decode(self._keys.decrypt(encrypted, key.encode()))
        except (DecryptionFailed, msgspec.MsgspecError, ValueError):
            # Not an event, as for a session's record: it would be noted here, and found again by the next reading.
            return None
        return Entry(str(position), position.at, name, fields, ip, device)


def _kept(name: str) -> str:
    event = events.class_of(name)
    return event.kept if event is not None else "activity"


def _position(cursor: str) -> _Position | None:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        return None
    at, number, kind = map(int, found.groups())
    # Redis refuses 0-0 and larger numbers: a number typed into the address bar must not look like an outage.
    possible = at + number > 0 and max(at, number).bit_length() <= _BITS
    return _Position(at, number, kind) if possible else None


def _renewed_again(later: Entry, earlier: Entry) -> bool:
    # A renewal from elsewhere is not the same: it is what users look for in their activity.
    same = replace(later, id=earlier.id, at=earlier.at, count=earlier.count) == earlier
    return same and later.name == events.SessionRenewed.name


def _plain(value: object) -> str | int | None:
    """Return what msgpack holds and a page can show, whatever an application puts into events of its own."""
    if value is None or (isinstance(value, int) and value.bit_length() < _BITS):
        return value
    return str(value)[:_LONGEST].encode("utf-8", "replace").decode()
