"""Session records in Redis: sealed, found by the digest of their id, changed only by the scripts of `scripts`.

A session id is a tag (12 characters, the same for all sessions of an account) and a secret (43 characters, 32 random
bytes), both base64url. Redis holds the SHA-256 of the id: who reads the database can't sign in with what they find.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from . import events, scripts
from .connection import Link
from .errors import StoreUnavailable
from .sealing import KeyRing, Unsealable
from .settings import Settings

Slide = Literal["never", "due", "now"]

_ID = re.compile(r"[A-Za-z0-9_-]{55}", re.ASCII)
_TAG = 12


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
    """A session that was alive when Redis answered, with both its clocks in milliseconds."""

    id: str
    record: Record
    plaintext: bytes
    revision: int
    now: int
    ttl: int
    idle: int
    ends: int
    epoch: int
    site: int

    @property
    def idle_expires_at(self) -> int:
        """When it ends without activity."""
        return self.now + self.ttl

    @property
    def last_active(self) -> int:
        """When activity was last written; up to a minute before the real one."""
        return min(self.now, self.idle_expires_at - min(self.idle, self.ends - self.now))


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
        self._slide_ms = settings.slide_seconds * 1000
        self._site_epoch = f"{self._prefix}epoch"
        self.channel = f"{self._prefix}ended"
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Record).decode

    def load(self, session_id: str, slide: Slide) -> Live | Ended:
        """Read a session in one round trip, both epochs included.

        `slide` says whether the idle clock starts again: `never` (a status read), `due` (activity, written at most
        once a minute) or `now` (the person asked).
        """
        digest, record, epoch, index = self._place(session_id)
        if self._link.is_cluster:
            site = self._link.call("GET", self._site_epoch) or 0
            answer = self._link.run(scripts.LOAD, (record, epoch, index), digest, slide, self._slide_ms, site)
        else:
            keys = (record, epoch, index, self._site_epoch)
            answer = self._link.run(scripts.LOAD, keys, digest, slide, self._slide_ms)
        if answer[0] == 0:
            return Ended(answer[1].decode())
        _, now, ttl, sealed, *header = answer
        associated = _associated(record, *header)
        try:
            plaintext = self._keys.open(sealed, associated)
            opened = self._decode(plaintext)
        except (Unsealable, msgspec.MsgspecError):
            # Changed by somebody who can write to Redis, or sealed with a retired key: no session, and somebody
            # should look.
            events.publish(events.RecordUnreadable(key=record))
            return Ended("unknown")
        revision, idle, ends, seen, site_seen = header
        return Live(session_id, opened, plaintext, revision, now, ttl, idle, ends, seen, site_seen)

    def create(self, record: Record, idle_seconds: int, absolute_seconds: int) -> Live:
        """Store a new record under a new id, both clocks starting now, and set its times."""
        session_id = new_id(account_tag(record.account) if record.account else None)
        digest, key, epoch_key, index = self._place(session_id)
        now, epoch, site = self._moment(epoch_key)
        record.created_at = now
        if record.account:
            record.signed_at = now
        idle, ends = idle_seconds * 1000, now + absolute_seconds * 1000
        live = Live(session_id, record, b"", 1, now, min(idle, ends - now), idle, ends, epoch, site)
        arguments = self._sealed(live, key)
        if self._link.run(scripts.CREATE, (key, index), digest, record.handle, *arguments) != 1:
            raise StoreUnavailable("a fresh id is taken: a lost answer was sent again", retry_after=1)
        return live

    def save(self, live: Live) -> Literal["saved", "gone", "changed"]:
        """Write the record back if it still exists at the revision that was read."""
        _, key, _, _ = self._place(live.id)
        read = live.revision
        live.revision = read + 1
        sealed = self._sealed(live, key)[0]
        outcome = self._link.run(scripts.SAVE, (key,), read, sealed, live.revision)
        if outcome != 1:
            live.revision = read
        return "saved" if outcome == 1 else "gone" if outcome == 0 else "changed"

    def rotate(self, live: Live) -> Live | None:
        """Move the record to a new id in one step, so that the old id is dead when the new one lives.

        Both clocks go on; the absolute end never moves. Returns `None` if the session was revoked or changed
        meanwhile.
        """
        old_digest, old_key, _, index = self._place(live.id)
        tag = live.id[:_TAG]
        new_digest, new_key, _, _ = self._place(new_session_id := new_id(tag))
        moved = Live(
            new_session_id,
            live.record,
            b"",
            1,
            live.now,
            live.ttl,
            live.idle,
            live.ends,
            live.epoch,
            live.site,
        )
        outcome = self._link.run(
            scripts.ROTATE,
            (old_key, index, new_key),
            old_digest,
            live.revision,
            new_digest,
            live.record.handle,
            *self._sealed(moved, new_key),
        )
        return moved if outcome == 1 else None

    def revoke(self, live: Live, reason: str) -> bool:
        """End a session for good and announce it; return whether it was still alive."""
        digest, key, _, index = self._place(live.id)
        announcement = json.dumps({"handle": live.record.handle, "reason": reason})
        return bool(self._link.run(scripts.REVOKE, (key, index), digest, reason, self.channel, announcement))

    def revoke_account(self, account: str) -> None:
        """End every session of an account, those being signed in right now included. One write."""
        key = f"{self._prefix}{{{account_tag(account)}}}:epoch"
        self._link.run(scripts.BUMP, (key,), self.channel, json.dumps({"account": account, "reason": "everywhere"}))

    def revoke_everybody(self) -> None:
        """End every session of everybody. One write."""
        self._link.run(scripts.BUMP, (self._site_epoch,), self.channel, json.dumps({"reason": "revoked"}))

    def spend(self, nonce: str, seconds: int) -> bool:
        """Spend a nonce, for all workers and for `seconds`; return False if it was spent before."""
        return self._link.call("SET", f"{self._prefix}nonce:{nonce}", 1, "NX", "EX", max(1, seconds)) is not None

    def _place(self, session_id: str) -> tuple[str, str, str, str]:
        digest = hashlib.sha256(session_id.encode()).hexdigest()
        base = f"{self._prefix}{{{session_id[:_TAG]}}}:"
        return digest, f"{base}session:{digest}", f"{base}epoch", f"{base}index"

    def _moment(self, epoch_key: str) -> tuple[int, int, int]:
        if self._link.is_cluster:
            site = int(self._link.call("GET", self._site_epoch) or 0)
            now, epoch, _ = self._link.run(scripts.MOMENT, (epoch_key,))
            return now, epoch, site
        now, epoch, site = self._link.run(scripts.MOMENT, (epoch_key, self._site_epoch))
        return now, epoch, site

    def _sealed(self, live: Live, key: str) -> tuple[bytes, int, int, int, int, int]:
        header = (live.revision, live.idle, live.ends, live.epoch, live.site)
        live.plaintext = self._encode(live.record)
        sealed = self._keys.seal(live.plaintext, _associated(key, *header))
        return sealed, *header


def _associated(key: str, revision: int, idle: int, ends: int, epoch: int, site: int) -> bytes:
    # Ties the sealed part to its key and to the clocks and epochs beside it: none can be exchanged for another
    # record's.
    return f"{key}|{revision}|{idle}|{ends}|{epoch}|{site}".encode()
