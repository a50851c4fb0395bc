"""Session records in Redis: sealed, found by the digest of their id, changed only by the scripts of `scripts`.

A session id is a tag (12 characters, the same for all sessions of an account) and a secret (43 characters, 32 random
bytes), both base64url. Redis holds the SHA-256 of the id: who reads the database can't sign in with what they find.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from . import events, scripts
from .connection import Link
from .errors import StoreUnavailable
from .sealing import KeyRing, Unsealable
from .settings import Settings

Slide = Literal["never", "due", "now"]
CSRF_KEY = "csrf_token"

_ID = re.compile(r"[A-Za-z0-9_-]{55}", re.ASCII)
_TAG, _DIGEST = 12, 64


class Record(msgspec.Struct, array_like=True, kw_only=True):
    """What is sealed. Times are milliseconds since the epoch by Redis's clock; `data` is what views put in
    `flask.session`.

    A visitor's record has an empty `account` and no handle.
    """

    format: Literal[1] = 1
    handle: str = ""
    account: str = ""
    session_type: str = "visitor"
    wallet: str = ""
    remember: bool = False
    created_at: int = 0
    signed_at: int = 0
    data: dict[str, Any]


@dataclass(slots=True)
class Live:
    """A session that was alive when Redis answered. Times and lengths are milliseconds, by Redis's clock.

    `active` is when activity was last written, up to a minute before the real one; `ends` is the absolute end.
    """

    id: str
    record: Record
    plaintext: bytes
    now: int
    active: int
    revision: int
    idle: int
    ends: int
    epoch: int
    site: int

    @property
    def idle_expires_at(self) -> int:
        """When it ends without activity; never after the absolute end."""
        return min(self.active + self.idle, self.ends)


@dataclass(frozen=True, slots=True)
class Ended:
    """There is no such session any more: `idle`, `absolute`, `unknown`, or the reason it was revoked with."""

    reason: str


def account_tag(account: str) -> str:
    """Return the tag that all sessions of an account share. 72 bits: two accounts never meet by chance."""
    return urlsafe_b64encode(
        hashlib.blake2b(account.encode(), digest_size=9, person=b"wallet-session").digest()
    ).decode()


def new_id(tag: str | None = None) -> str:
    """Return a fresh session id with the given tag, or a random one for a visitor."""
    return (tag or secrets.token_urlsafe(9)) + secrets.token_urlsafe(32)


def well_formed(session_id: str) -> bool:
    """Whether a cookie's value can be an id at all; what can't never reaches Redis."""
    return _ID.fullmatch(session_id) is not None


class Records:
    """Opens, creates, saves, moves and ends records; raises `StoreUnavailable` when Redis does not answer."""

    def __init__(self, link: Link, keys: KeyRing, settings: Settings) -> None:
        self._link = link
        self._keys = keys
        self._prefix = settings.redis_prefix
        self._most = settings.sessions_per_account
        self._slide_ms = settings.slide_seconds * 1000
        self._site_epoch = f"{self._prefix}epoch"
        self.channel = f"{self._prefix}ended"
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Record).decode
        self._ahead, self._ask_again = 0.0, -math.inf

    def load(self, session_id: str, slide: Slide) -> Live | Ended:
        """Read a session, both epochs included, in one round trip (two once a minute, to hear Redis's clock).

        `slide` says whether the idle clock starts again: `never` (a status read), `due` (activity, written at most
        once a minute, in a second round trip) or `now` (the person asked).
        """
        digest, key, epoch_key, index = self._place(session_id)
        stored, epoch, site = self._read(key, epoch_key)
        if stored is None:
            return Ended(self._link.run(scripts.WHY, (index,), digest).decode())
        live = self._open(session_id, key, stored, self._now(epoch_key))
        if isinstance(live, Ended):
            return live
        if live.epoch < int(epoch or 0):
            return Ended("everywhere")
        if live.site < int(site or 0):
            return Ended("revoked")
        if slide == "now" or (slide == "due" and live.now - live.active >= self._slide_ms):
            now = self._link.run(scripts.TOUCH, (key,))
            if now == 0:  # it ended in between
                return Ended(self._link.run(scripts.WHY, (index,), digest).decode())
            live.now = live.active = self._set_clock(now)
        return live

    def create(self, record: Record, idle_seconds: int, absolute_seconds: int) -> Live:
        """Store a new record under a new id, both clocks starting now, and set its times."""
        session_id = new_id(account_tag(record.account) if record.account else None)
        digest, key, epoch_key, index = self._place(session_id)
        site = int(self._link.call("GET", self._site_epoch) or 0)
        now, epoch = self._link.run(scripts.MOMENT, (epoch_key,))
        self._set_clock(now)
        record.created_at = now
        if record.account:
            record.signed_at = now
        idle, ends = idle_seconds * 1000, now + absolute_seconds * 1000
        live = Live(session_id, record, b"", now, now, 1, idle, ends, epoch, site)
        arguments = (digest, record.handle, idle, ends, self._sealed(live, key), self._most, key[:-_DIGEST])
        if self._link.run(scripts.CREATE, (key, index), *arguments) != 1:
            raise StoreUnavailable("a fresh id is taken: a lost answer was sent again", retry_after=1)
        return live

    def save(self, live: Live) -> Literal["saved", "gone", "changed"]:
        """Write the record back if it still exists at the revision that was read."""
        _, key, _, _ = self._place(live.id)
        read = live.revision
        live.revision = read + 1
        outcome = self._link.run(scripts.SAVE, (key,), read, self._sealed(live, key))
        if outcome != 1:
            live.revision = read
        return "saved" if outcome == 1 else "gone" if outcome == 0 else "changed"

    def rotate(self, live: Live) -> Live | None:
        """Move the record to a new id in one step, so that the old id is dead when the new one lives.

        Both clocks go on. An account's session gets a new CSRF secret with its new id. Returns `None` if the session
        was revoked or changed meanwhile.
        """
        if live.record.account:
            live.record.data[CSRF_KEY] = secrets.token_hex(32)
        old_digest, old_key, epoch_key, index = self._place(live.id)
        moved = replace(live, id=new_id(live.id[:_TAG]), revision=1)
        digest, key, _, _ = self._place(moved.id)
        outcome = self._link.run(
            scripts.ROTATE,
            (old_key, index, key, epoch_key),
            live.revision,
            live.epoch,
            old_digest,
            digest,
            live.record.handle,
            live.ends,
            self._sealed(moved, key),
        )
        if outcome != 1:
            return None
        if live.record.account:
            events.publish(events.SessionRotated(handle=live.record.handle, account=live.record.account))
        return moved

    def revoke(self, live: Live, reason: str) -> bool:
        """End a session for good and announce it; return whether it was still alive."""
        return self._revoke(live.id, live.record.handle, live.record.account or None, reason)

    def revoke_moved(self, session_id: str, reason: str) -> bool:
        """End the session that had this id before it was rotated; return whether it was still alive."""
        digest, _, _, index = self._place(session_id)
        entry = self._link.call("HGET", index, digest)
        handle = entry.partition(b"|")[0].decode() if entry else ""
        return bool(handle) and self._revoke(session_id, handle, None, reason)

    def _revoke(self, session_id: str, handle: str, account: str | None, reason: str) -> bool:
        digest, key, _, index = self._place(session_id)
        announcement = json.dumps({"handle": handle, "reason": reason})
        arguments = (digest, reason, self.channel, announcement, handle)
        alive = bool(self._link.run(scripts.REVOKE, (key, index), *arguments))
        if alive and handle:
            events.publish(events.SessionEnded(handle=handle, account=account, reason=reason))
        return alive

    def revoke_account(self, account: str) -> None:
        """End every session of an account, those being signed in right now included. One write."""
        _, sessions, epoch, index = self._place(account_tag(account))
        announcement = json.dumps({"account": account, "reason": "everywhere"})
        self._link.run(scripts.EVERYWHERE, (epoch, index), self.channel, announcement, sessions[:-_DIGEST])

    def revoke_everybody(self) -> None:
        """End every session of everybody. One write."""
        self._link.run(scripts.BUMP, (self._site_epoch,), self.channel, json.dumps({"reason": "revoked"}))

    def spend(self, nonce: str, seconds: int) -> bool:
        """Spend a nonce, for all workers and for `seconds`; return False if it was spent before."""
        return self._link.call("SET", f"{self._prefix}nonce:{nonce}", 1, "NX", "EX", max(1, seconds)) is not None

    def _read(self, key: str, epoch_key: str) -> tuple[bytes | None, bytes | None, bytes | None]:
        # One plain command for all three: a script would cost a tenth of the whole request. On a Cluster the site's
        # epoch is on another slot, and costs a second round trip.
        if self._link.is_cluster:
            return *self._link.call("MGET", key, epoch_key), self._link.call("GET", self._site_epoch)
        stored, epoch, site = self._link.call("MGET", key, epoch_key, self._site_epoch)
        return stored, epoch, site

    def _open(self, session_id: str, key: str, stored: bytes, now: int) -> Live | Ended:
        try:
            active, *header, sealed = stored.split(b"|", 6)
            plaintext = self._keys.open(sealed, _associated(key, header))
            record = self._decode(plaintext)
            live = Live(session_id, record, plaintext, now, int(active), *map(int, header))
        except (Unsealable, msgspec.MsgspecError, ValueError):
            # Changed by somebody who can write to Redis, or sealed with a retired key: no session, and somebody
            # should look.
            events.publish(events.RecordUnreadable(key=key))
            return Ended("unknown")
        # The TTL sees to this, unless somebody took it off the key.
        return live if now < live.ends else Ended("absolute")

    def _sealed(self, live: Live, key: str) -> bytes:
        """Seal the record; return what is stored, without the time of the last activity in front."""
        header = [b"%d" % number for number in (live.revision, live.idle, live.ends, live.epoch, live.site)]
        live.plaintext = self._encode(live.record)
        self._decode(live.plaintext)  # what can't be read back (a key that is no string) must fail here, not sign out
        return b"|".join((b"", *header, self._keys.seal(live.plaintext, _associated(key, header))))

    def _now(self, epoch_key: str) -> int:
        # Redis's clock decides when a session ends, but need not be asked on each request: for a minute, ours goes on
        # from what it said. Not the monotonic one: it stands still while a machine sleeps, and nothing would slide.
        if time.monotonic() >= self._ask_again:
            return self._set_clock(self._link.run(scripts.MOMENT, (epoch_key,))[0])
        return int(time.time() * 1000 + self._ahead)

    def _set_clock(self, now: int) -> int:
        self._ahead, self._ask_again = now - time.time() * 1000, time.monotonic() + 60
        return now

    def _place(self, session_id: str) -> tuple[str, str, str, str]:
        digest = hashlib.sha256(session_id.encode()).hexdigest()
        base = f"{self._prefix}{{{session_id[:_TAG]}}}:"
        return digest, f"{base}session:{digest}", f"{base}epoch", f"{base}index"


def _associated(key: str, header: list[bytes]) -> bytes:
    # Ties the sealed part to its key and to the clocks and epochs beside it: none can be exchanged for another
    # record's.
    return b"|".join((key.encode(), *header))
