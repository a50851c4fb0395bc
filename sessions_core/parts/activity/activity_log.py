"""The activity log: of each account for its user, of the site for administrators. Bounded and encrypted.

    {tag}:log            list    what an account did, and what was done to it; the newest entry first
    {tag}:log:routine    list    what a session may do without end, such as staying alive; a tenth as long
    {tag}:log:refusals   list    what was refused in its name; a tenth as long, and only beside some activity
    activity, routine, refusals       streams: the same for the whole site, ten times as long; outside the tag
    {activity}:budget    hash    how many entries the logs of all accounts hold, by the day on which they expire

There are three because each has its own attacker: an attacker who knows an address can fail to sign in all day, one
who stole a session can renew it all day, and neither may push out the entry that would have warned the user.

The logs of all accounts share a budget: wallets cost nothing to make, and Redis must not fill up with what a million
of them did once. `note.lua` says what happens when it is used up.

An entry is msgpack of [event, fields, ip, device], encrypted for its key. In the list of an account it is compressed,
and stands behind its time and a number; in a stream it is the field e. An attacker who reads Redis learns how often
something happened, when, and how many bytes it took. One who writes to Redis can drop an entry or repeat it under its
key, but can't forge one or move it to another account.
"""

from __future__ import annotations

import heapq
import logging
import math
import re
import time
import zlib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from ... import events
from ...errors import StoreUnavailable
from ...sessions.record import account_tag
from ...settings import DAY
from ...storage import scripts
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
_PLACE = re.compile(rb"([0-9]{1,16})-([0-9]{1,16})\|", re.ASCII)

# What entries have in common, the most frequent last. Never changed: what it compressed is kept for up to a year.
_COMMON = (
    b"verification.changed role.changed level until before after member admin professional sess_prof_ account_linked "
    b"wallet.changed network.changed client.changed changed device ip other session.named session.renewed action "
    b"session.confirmed session.revoked_all scope others all signin.failed code signature_wrong session.rotated "
    b"reason signed_out revoked replaced session.ended Safari on iOS Safari on macOS Chrome on Android "
    b"Firefox on Windows Chrome on macOS Chrome on Windows Firefox on Linux "
    b"\x94\xafsession.created\x83\xa6handle\xb5sess_\xa7account\xd93eip155:1:0x\xacsession_type\xa8standard"
)
_LONGEST_ENTRY = 1 << 20  # bytes: no entry is as long

_FOLDER = Path(__file__).parent
_NOTE, _NOTE_SITE, _COUNT = (scripts.load(_FOLDER / f"{name}.lua") for name in ("note", "note_site", "count"))

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


_NOWHERE = _Position(0, 0, 0)  # of what is no entry


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
        self._budget, self._most_of_all = f"{redis_prefix}{{activity}}:budget", options.activity_budget
        self._held, self._warn_at = [0, 0], -math.inf
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(tuple[str, dict[str, Any], str, str]).decode

    def note(self, event: events.Event, client: Client) -> None:
        """Write an event down, with where it came from. What can't be written is logged: the event has happened all
        the same, and no user is turned away because the entry could not be written. One round trip; on a Cluster one
        to each master, and one more to count.
        """
        most = self._most if event.kept == "activity" else max(1, self._most // 10)
        accounts = {getattr(event, "account", None), getattr(event, "other", None)} - {None, ""}
        fields = {name: _plain(value) for name, value in asdict(event).items()}
        entry = self._encode((event.name, fields, _plain(client.ip), _plain(client.device)))
        stream = self._prefix + event.kept
        writes = [self._of_account(str(account), event.kept, entry, most) for account in accounts]
        of_site = (self._keys.encrypt(entry, stream.encode()), most * 10, self._seconds * 1000)
        try:
            for reply in self._connection.run_all([*writes, (_NOTE_SITE, (stream,), of_site)]):
                self._count(items(reply))
        except StoreUnavailable as error:
            logger.warning("%s could not be written down: %s", event.name, error)

    def account(self, account: str, names: Collection[str] = (), before: str = "", limit: int = 50) -> Page:
        """Return what happened to a CAIP-10 account, newest first.

        Without `names` that is every event. `before` is the cursor of an earlier page or entry; what is no cursor
        counts as none. Renewals of one session in a row, from one place, are one entry.
        """
        return self._page(self._newest_first(account, names, before), limit)

    def site(self, names: Collection[str] = (), before: str = "", limit: int = 50) -> Page:
        """Return the activity of the whole site; everything else is as in `account`."""
        return self._page(self._newest_first(None, names, before), limit)

    def iterate(self, account: str | None) -> Iterator[Entry]:
        """Go through all that is kept of an account, or with `None` of the site: newest first, each entry alone."""
        return self._newest_first(account, (), "")

    def key(self, account: str | None, kind: str) -> str:
        """Return the key of the log of an account, or with `None` of the site, for a kind of events."""
        if account is None:
            return self._prefix + kind
        # With the tag of the account's sessions, and so on their slot of a Cluster.
        return f"{self._prefix}{{{account_tag(account)}}}:log" + ("" if kind == "activity" else f":{kind}")

    def _of_account(self, account: str, kind: str, entry: bytes, most: int) -> tuple[Script, tuple[str, ...], Any]:
        # The call of the script that writes an entry into a log of an account.
        key, activity = self.key(account, kind), self.key(account, "activity")
        keys = (key, activity, *self._connection.reachable(self._budget))
        encrypted = self._keys.encrypt(packed(entry, account), key.encode())
        kept = (self._seconds * 1000, self._seconds_new * 1000)
        # Only beside activity, or an attacker could fill Redis with refusals of accounts that never signed in.
        beside = int(kind == "refusals")
        return _NOTE, keys, (encrypted, most, *kept, beside, self._most_of_all, *self._held)

    def _count(self, reply: list[Any]) -> None:
        # What `note.lua` answered. On a Cluster the budget is on another master: each process goes by what it heard
        # last, and so may exceed it by two entries.
        if not reply:
            return
        held, change = reply[:2], reply[2:]
        if change:
            held = self._connection.run(_COUNT, (self._budget,), self._seconds_new * 1000, *change)
        self._held = [number(each) for each in items(held, 2)]
        held_by_all, held_by_new = self._held
        room = min(self._most_of_all - held_by_all, self._most_of_all // 2 - held_by_new)
        if room < 2 and time.monotonic() >= self._warn_at:
            self._warn_at = time.monotonic() + 3600
            logger.warning(
                "The activity of all accounts holds %d entries, that of new accounts %d of them: no activity is kept "
                "of more new accounts. If they are your users, raise SESSIONS_CORE_ACTIVITY_BUDGET (%d).",
                *(held_by_all, held_by_new, self._most_of_all),
            )

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

    def _newest_first(self, account: str | None, names: Collection[str], before: str) -> Iterator[Entry]:
        cursor = _position(before)
        clock = self._connection.run(_CLOCK, (self.key(account, "activity"),))
        oldest = (number(clock) - self._seconds) * 1000
        kinds = {_kept(name) for name in names} if names else _KINDS
        logs = [self._log(account, kind, cursor, oldest) for kind in kinds]
        merged = heapq.merge(*logs, key=lambda found: found[0], reverse=True)
        return (entry for _, entry in merged if not names or entry.name in names)

    def _log(
        self, account: str | None, kind: str, cursor: _Position | None, oldest: int
    ) -> Iterator[tuple[_Position, Entry]]:
        key, rank = self.key(account, kind), _KINDS.index(kind)
        rows = self._stream(key, rank, cursor, oldest) if account is None else self._list(key, rank, cursor, oldest)
        told, last = False, None
        for position, encrypted in rows:
            entry = self._open(key, position, encrypted, account)
            if entry is None:
                if not told:
                    logger.warning("%s has entries that can't be opened; they are left out", key)
                told = True
            elif last is None or position < last:  # else it was read before: a list moves when an entry is added
                yield position, entry
                last = position

    def _stream(
        self, key: str, rank: int, cursor: _Position | None, oldest: int
    ) -> Iterator[tuple[_Position, bytes]]:
        start = "+"
        if cursor is not None:  # an entry with its id was shown before it, unless its kind comes after
            start = f"{'' if rank < cursor.kind else '('}{cursor.at}-{cursor.number}"
        while True:
            rows = items(self._connection.call("XREVRANGE", key, start, oldest, "COUNT", _CHUNK))
            for stream_id, row in rows:
                at, number = map(int, stream_id.split(b"-"))
                yield _Position(at, number, rank), next(pairs(row))[1]
            if len(rows) < _CHUNK:
                return
            start = f"({rows[-1][0].decode()}"

    def _list(self, key: str, rank: int, cursor: _Position | None, oldest: int) -> Iterator[tuple[_Position, bytes]]:
        first = 0
        while True:
            rows = items(self._connection.call("LRANGE", key, first, first + _CHUNK - 1))
            for row in rows:
                place = _PLACE.match(row)
                position = _Position(int(place[1]), int(place[2]), rank) if place else _NOWHERE
                if place and (position.at < oldest or (cursor is not None and position >= cursor)):
                    continue
                yield position, row[place.end() :] if place else b""
            if len(rows) < _CHUNK:
                return
            first += _CHUNK

    def _open(self, key: str, position: _Position, encrypted: bytes, account: str | None) -> Entry | None:
        try:
            entry = self._keys.decrypt(encrypted, key.encode())
            name, fields, ip, device = self._decode(unpacked(entry, account) if account is not None else entry)
        except (DecryptionFailed, msgspec.MsgspecError, ValueError, zlib.error):
            # Not an event, as for a session's record: it would be noted here, and found again by the next reading.
            return None
        return Entry(str(position), position.at, name, fields, ip, device)


def packed(entry: bytes, account: str) -> bytes:
    """Return an entry compressed: by what entries have in common, and the account that its log belongs to."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, memLevel=4, zdict=_COMMON + account.encode())
    return packer.compress(entry) + packer.flush()


def unpacked(entry: bytes, account: str) -> bytes:
    """Return what `packed` compressed; raise `zlib.error` for anything else."""
    return zlib.decompressobj(-15, zdict=_COMMON + account.encode()).decompress(entry, _LONGEST_ENTRY)


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
