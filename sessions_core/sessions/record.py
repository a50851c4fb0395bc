"""The session's data: its id, its keys in Redis, its record, and its state in a request.

A session id is a tag (12 characters, the same for all sessions of an account) and a secret (43 characters, 32 random
bytes), both base64url. Redis holds a digest of the id, 120 bits of its SHA-256: an attacker who reads the database
can't sign in with it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, Literal, NamedTuple, TypeVar, cast

import msgspec

from .. import events
from ..errors import StoreUnavailable
from ..storage.encryption import KeyRing

T = TypeVar("T")

CSRF_KEY = "csrf_token"
GRACE = 20_000  # milliseconds in which an exchanged id or token still leads to its successor
CONFIRMING_GRACE = 15 * 60_000  # the same for a request that waits for its signature
TAG, DIGEST = 12, 20  # characters

_ID = re.compile(r"[A-Za-z0-9_-]{55}", re.ASCII)
_NO_SESSION = "0" * DIGEST
_FORMER_IDS = 8  # of a session are remembered, the latest


class FormerId(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """An id that the session had until `at` (milliseconds since the epoch), as a digest, with its CSRF secret.

    `key` leads from it to the id that followed: an attacker with the former id alone can't compute that.
    """

    digest: bytes
    key: bytes
    csrf: str
    at: int


class SessionRecord(msgspec.Struct, array_like=True, kw_only=True):
    """The encrypted part of a session. Times are milliseconds since the epoch by Redis's clock; `data` is the content
    of `flask.session`.

    A visitor's record has an empty `account` and no handle. `signed_at` is when the wallet signed in, `confirmed`
    when it last signed for an action by name, `restarted_at` when that started both clocks again. `privilege` is a
    fingerprint of the account's privileges that the session's id was made under; `narrowed` the permissions that the
    client limited the session to. `browser` is a digest of the browser cookie that the session was started with,
    `formers` are its latest former ids: together they hand the session over to a browser that has not received its
    new id yet. `sections` are the values of parts, by the name of the part (`Section`).
    """

    format: Literal[2] = 2
    handle: str = ""
    account: str = ""
    session_type: str = "visitor"
    wallet: str = ""
    remember: bool = False
    created_at: int = 0
    signed_at: int = 0
    data: dict[str, Any]
    restarted_at: int = 0
    confirmed: dict[str, int] = {}
    privilege: str = ""
    narrowed: tuple[str, ...] | None = None
    browser: bytes = b""
    formers: tuple[FormerId, ...] = ()
    sections: dict[str, msgspec.Raw] = {}

    def started_by(self, browser: str | None) -> bool:
        """Whether this is the browser cookie that the session was started with."""
        return bool(self.browser and browser) and hmac.compare_digest(browser_digest(browser), self.browser)

    def successor(self, former_id: str, now: int) -> str | None:
        """Return the id that the session has now, for one that it had at most `GRACE` before `now`."""
        digest, session_id = _short_digest(former_id), None
        for former in self.formers:
            if session_id is None and former.digest == digest and now - former.at <= GRACE:
                session_id = former_id
            if session_id is not None:
                session_id = following(session_id, former.key)
        return session_id

    def former_csrf(self, since: int) -> list[str]:
        """Return the CSRF secrets that the session had until `since` (milliseconds since the epoch) or later."""
        return [former.csrf for former in self.formers if former.at >= since]

    def give_up_id(self, session_id: str, key: bytes, now: int) -> None:
        """Note a former id and the `key` to the one that follows it; the new id gets a new CSRF secret."""
        former = FormerId(digest=_short_digest(session_id), key=key, csrf=self.data.get(CSRF_KEY, ""), at=now)
        kept = [each for each in self.formers if now - each.at <= CONFIRMING_GRACE]
        self.formers = (*kept, former)[-_FORMER_IDS:]
        self.data = self.data | {CSRF_KEY: new_csrf()}


class Section(Generic[T]):
    """A value that one part keeps with each session, of the type `kind`; its default is an empty `kind`.

        LABEL = Section("labels", Label)
        LABEL.of(session.record).text
        repository.change(session, lambda record: LABEL.put(record, Label(text="Work laptop")))

    `kind` is a frozen `msgspec.Struct` whose fields all have a default, so that the part may be added later. New
    fields go at the end; for any other change use another name.
    """

    def __init__(self, name: str, kind: type[T]) -> None:
        self.name = name
        self._default = kind()
        self._decode = msgspec.msgpack.Decoder(kind).decode

    def of(self, record: SessionRecord) -> T:
        """Return the value that a record has; decoded once. Raises `StoreUnavailable` for one of another type."""
        value: Any = record.sections.get(self.name, self._default)
        if isinstance(value, msgspec.Raw):
            try:
                value = self._decode(value)
            except msgspec.MsgspecError as error:
                # Not the default: it could lose what another version has stored, for example that a contract has to
                # be asked again.
                events.publish(events.RecordUnreadable(key=f"{record.handle}:{self.name}"))
                raise StoreUnavailable(f"the section {self.name!r} of a session can't be read") from error
            record.sections[self.name] = value  # as good as the bytes: the encoder takes either
        return cast(T, value)

    def put(self, record: SessionRecord, value: T) -> None:
        """Give a record this value; the caller stores it."""
        self.of(record)  # so that records compare by their values
        # A new dict: copies of the record share the former one.
        record.sections = record.sections | {self.name: cast(msgspec.Raw, value)}


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountKey:
    """A key of Redis that a part keeps for each account, on the same slot as the account's sessions.

    With `read` its value is read with each request of the account's sessions, in the same round trip
    (`AccountValues`). A key with an `entry` is a list of the account's latest sessions:
    `entry(keys, key, record)` returns what is put in front when one starts, in the step that starts it: encrypted, in
    base64; nothing for an empty one. `most` entries are kept, for `seconds`. A session that starts alone is not put
    there: there is no other to read of it, and most accounts have one session.
    """

    name: str
    read: bool = True
    entry: Callable[[KeyRing, str, SessionRecord], bytes] | None = None
    most: int = 0
    seconds: int = 0


class SessionKeys(NamedTuple):
    """The Redis keys of a session and of its account, and the `digest` that is its field in the account's index.

    `entries` is the key of that index, `session_prefix` what the keys of all sessions of the account begin with.
    """

    digest: str
    record: str
    entries: str
    epoch: str
    session_prefix: str

    @classmethod
    @lru_cache(maxsize=4096)  # of the same accounts with each request
    def at(cls, prefix: str, tag: str) -> SessionKeys:
        """Return the keys below a prefix for the tag of an account, and of a session that never exists."""
        base = f"{prefix}{{{tag}}}:"
        sessions = base + "session:"
        return cls(_NO_SESSION, sessions + _NO_SESSION, base + "index", base + "epoch", sessions)

    @property
    def tag(self) -> str:
        """The hash tag of the account's keys, which its session ids begin with."""
        return self.entries[: self.entries.rindex("}")].rpartition("{")[2]

    def account_key(self, name: str) -> str:
        """Return another key of the account (`AccountKey`)."""
        return self.entries[:-5] + name

    def sibling(self, digest: str) -> SessionKeys:
        """Return the keys of another session of the account."""
        return SessionKeys(digest, self.session_prefix + digest, *self[2:])


class AccountValues(dict[str, bytes | None]):
    """The stored values of parts for an account, by name (`AccountKey`); read together at `now`, with the epoch of
    the account and the global one.
    """

    def __init__(self, keys: SessionKeys, now: int, epoch: int, global_epoch: int, values: Any = ()) -> None:
        super().__init__(values)
        self.account_keys = keys
        self.now = now
        self.epoch = epoch
        self.global_epoch = global_epoch
        self._decoded: dict[str, Any] = {}

    def decoded(self, name: str, decode: Callable[[str, bytes | None], T]) -> T:
        """Return the result of `decode(key, stored)` for a value; it is called once."""
        if name not in self._decoded:
            self._decoded[name] = decode(self.account_keys.account_key(name), self.get(name))
        return cast(T, self._decoded[name])


@dataclass(slots=True)
class LoadedSession:
    """A session that was alive when Redis answered. Times and lengths are milliseconds, by Redis's clock.

    `active` is when activity was last written, up to a minute before the real one, and `kept_alive` says that this
    reading wrote it. In a list `id` is empty: neither an administrator nor the server can use a listed session.
    `account_values` are the values of parts for the account; empty in a list. `browser` is the browser cookie that
    came with the id. `displaced` are the handles of the sessions that ended to make room for this one when it was
    created.
    """

    id: str
    keys: SessionKeys
    record: SessionRecord
    plaintext: bytes
    now: int
    active: int
    revision: int
    idle_timeout_ms: int
    absolute_expires_at: int
    epoch: int
    global_epoch: int
    account_values: AccountValues
    kept_alive: bool = False
    browser: str | None = None
    displaced: tuple[str, ...] = ()

    @property
    def idle_expires_at(self) -> int:
        """When it ends without activity; never after the absolute end."""
        return min(self.active + self.idle_timeout_ms, self.absolute_expires_at)


@dataclass(frozen=True, slots=True)
class EndedSession:
    """There is no such session any more. `reason` is one of `end_reasons`; `handle` is that of the session, where it
    is known.
    """

    reason: str
    handle: str = field(default="", compare=False)


ROTATED = EndedSession("rotated")
"""The session goes on under another id."""


def account_tag(account: str) -> str:
    """Return the tag that all sessions of an account share. 72 bits: two accounts never meet by chance."""
    return urlsafe_b64encode(
        hashlib.blake2b(account.encode(), digest_size=9, person=b"wallet-session").digest()
    ).decode()


def new_id(tag: str | None = None) -> str:
    """Return a fresh session id with the given tag, or a random one for a visitor."""
    return (tag or secrets.token_urlsafe(9)) + secrets.token_urlsafe(32)


def new_csrf() -> str:
    """Return a fresh CSRF secret: 128 random bits, in 22 characters."""
    return secrets.token_urlsafe(16)


def digest_of(session_id: str) -> str:
    """Return the digest by which Redis knows a session id."""
    return urlsafe_b64encode(hashlib.sha256(session_id.encode()).digest()[:15]).decode()


def following(session_id: str, key: bytes) -> str:
    """Return the id that follows from this one by a key that only the record holds."""
    digest = hmac.new(key, session_id.encode(), hashlib.sha256).digest()
    return session_id[:TAG] + urlsafe_b64encode(digest).decode().rstrip("=")


def browser_digest(browser: str | None) -> bytes:
    """Return the digest of a browser cookie for a record; an empty one if there is no cookie."""
    return hashlib.sha256(b"browser" + browser.encode()).digest()[:16] if browser else b""


def well_formed(session_id: str) -> bool:
    """Whether a cookie's value has the form of an id; other values never reach Redis."""
    return _ID.fullmatch(session_id) is not None


def _short_digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()[:16]
