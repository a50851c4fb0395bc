"""Session records in Redis: sealed, found by the digest of their id, changed only by the scripts of `scripts`.

A session id is a tag (12 characters, the same for all sessions of an account) and a secret (43 characters, 32 random
bytes), both base64url. Redis holds the SHA-256 of the id: who reads the database can't sign in with what they find.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import math
import re
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import msgspec

from .. import events
from ..errors import StoreUnavailable
from ..parts.devices import recent_sign_ins
from ..parts.linked_wallets.user import UNLINKED, Pointer, derived_id
from ..parts.roles.account_status import UNKNOWN, Standing
from ..settings import Settings
from ..storage import scripts
from ..storage.connection import Link, Script, slot_is_moving
from ..storage.encryption import KeyRing, Unsealable
from ..storage.redis_errors import takes_no_writes
from ..storage.replies import items, number, pairs
from . import session_data

logger = logging.getLogger(__name__)

Slide = Literal["never", "due", "now"]
CSRF_KEY = "csrf_token"
GRACE = 20_000  # milliseconds in which what was exchanged for something new still leads to it
CONFIRMING_GRACE = 15 * 60_000  # the same for a request that waits for its signature

_ID = re.compile(r"[A-Za-z0-9_-]{55}", re.ASCII)
_TAG, _DIGEST = 12, 64
_JUMP = 1.0  # seconds between two clocks of ours after which neither is believed
_ATTEMPTS = 10  # to read what another request moves at the same moment
_FORMER_IDS = 8  # of a session are remembered, the latest


class Proof(NamedTuple):
    """What a contract accepted when its account last signed: kept so that it can be asked again."""

    message: str
    signature: bytes


class Family(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The refresh tokens of a session, as `refresh` sees them: hashes of the family's secret, of the newest token's
    and of the one before, the key from which the next follows, when the newest was made (milliseconds since the
    epoch), and whether somebody has used the session token that came with it.
    """

    id: bytes
    key: bytes
    current: bytes
    previous: bytes = b""
    generation: int = 0
    moved_at: int = 0
    used: bool = False

    def moved_on(self, used: bytes, current: bytes, now: int) -> Family:
        """Return the family after one of its tokens was exchanged for a new one; `used` and `current` are hashes."""
        return msgspec.structs.replace(
            self,
            current=current,
            previous=used,
            generation=self.generation + 1,
            moved_at=now,
            used=False,
        )


class FormerId(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """An id that the session had until `at` (milliseconds since the epoch), as a digest, with its CSRF secret.

    `key` leads from it to the id that followed: whoever has the former id alone can't work that out.
    """

    digest: bytes
    key: bytes
    csrf: str
    at: int


class Record(msgspec.Struct, array_like=True, kw_only=True):
    """What is sealed. Times are milliseconds since the epoch by Redis's clock; `data` is what views put in
    `flask.session`.

    A visitor's record has an empty `account` and no handle. `confirmed` holds when the wallet last signed for an
    action by name, `restarted_at` when that started both clocks again. `privilege` is the role and the verification
    that the session's id was made under; `narrowed` what the client wanted to be held to. `device`, `agent` and `ip`
    are where it was last used from, as its person is told; `label` is their own name for it. An account that is a
    contract has a `proof`, which it last accepted at `checked_at`. The session of a client without cookies has a
    `family` of refresh tokens. `recognised` are the handles of sign-ins elsewhere that its person knows about.
    `pregenerated` says that the wallet is one of `shares`, and that the browser that signed in holds its other half.
    `browser` is a digest of the browser cookie that the session was started with, `formers` are its latest former
    ids: together they hand the session over to a browser that has not received its new id yet.
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
    restarted_at: int = 0
    confirmed: dict[str, int] = {}
    privilege: str = ""
    narrowed: tuple[str, ...] | None = None
    device: str = ""
    agent: str = ""
    ip: str = ""
    label: str = ""
    proof: Proof | None = None
    checked_at: int = 0
    family: Family | None = None
    recognised: tuple[str, ...] = ()
    pregenerated: bool = False
    browser: bytes = b""
    formers: tuple[FormerId, ...] = ()

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
                session_id = _following(session_id, former.key)
        return session_id

    def former_csrf(self, since: int) -> list[str]:
        """Return the CSRF secrets that the session had until `since` (milliseconds since the epoch) or later."""
        return [former.csrf for former in self.formers if former.at >= since]


_Found = tuple[bytes | None, ...]  # record, epochs of account and site, standing, news


class Place(NamedTuple):
    """The keys of a session, and the field that is its own in the index of its account (`entries`)."""

    digest: str
    record: str
    entries: str
    epoch: str
    standing: str
    pointer: str
    news: str

    @property
    def share(self) -> str:
        """Where the server's half of the account's key is, if the wallet was made here (`shares`)."""
        return self.standing.removesuffix("standing") + "share"

    @property
    def tag(self) -> str:
        """The hash tag of the account's keys, which its session ids begin with."""
        return self.entries[: self.entries.rindex("}")].rpartition("{")[2]

    @property
    def siblings(self) -> str:
        """What the keys of all sessions of the account begin with."""
        return self.record[:-_DIGEST]


@dataclass(slots=True)
class Live:
    """A session that was alive when Redis answered. Times and lengths are milliseconds, by Redis's clock.

    `active` is when activity was last written, up to a minute before the real one, and `slid` says that it was by
    this reading; `ends` is the absolute end. In a list `id` is empty: nobody, we included, can use a session that
    they only look at. `news` are the account's last sign-ins as they are stored. `browser` is the browser cookie that
    came with the id.
    """

    id: str
    place: Place
    record: Record
    plaintext: bytes
    now: int
    active: int
    revision: int
    idle: int
    ends: int
    epoch: int
    site: int
    standing: Standing = UNKNOWN
    pointer: Pointer = UNLINKED
    slid: bool = False
    news: bytes = b""
    browser: str | None = None

    @property
    def idle_expires_at(self) -> int:
        """When it ends without activity; never after the absolute end."""
        return min(self.active + self.idle, self.ends)


@dataclass(frozen=True, slots=True)
class Ended:
    """There is no such session any more: `idle`, `absolute`, `unknown`, or the reason it was revoked with.

    `handle` is what it was called, where that is known.
    """

    reason: str
    handle: str = field(default="", compare=False)


ROTATED = Ended("rotated")
"""The session goes on under another id."""


def account_tag(account: str) -> str:
    """Return the tag that all sessions of an account share. 72 bits: two accounts never meet by chance."""
    return urlsafe_b64encode(
        hashlib.blake2b(account.encode(), digest_size=9, person=b"wallet-session").digest()
    ).decode()


def new_id(tag: str | None = None) -> str:
    """Return a fresh session id with the given tag, or a random one for a visitor."""
    return (tag or secrets.token_urlsafe(9)) + secrets.token_urlsafe(32)


def browser_digest(browser: str | None) -> bytes:
    """Return what a record keeps of a browser cookie; nothing if there is none."""
    return hashlib.sha256(b"browser" + browser.encode()).digest()[:16] if browser else b""


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
        self.decode = msgspec.msgpack.Decoder(Record, ext_hook=session_data.read_extension).decode
        self._decode_standing = msgspec.msgpack.Decoder(Standing).decode
        self._decode_pointer = msgspec.msgpack.Decoder(Pointer).decode
        self._ahead, self._ask_again, self._steady = 0.0, -math.inf, 0.0
        self._told: set[str] = set()  # troubles that were logged, each until it is over

    def load(self, session_id: str, slide: Slide, browser: str | None = None) -> Live | Ended:
        """Read a session, both epochs, the account's standing and its pointer in one round trip (two once a minute,
        to hear Redis's clock).

        `slide` says whether the idle clock starts again: `never` (a status read), `due` (activity, written at most
        once a minute, in a second round trip) or `now` (the person asked). An id that the session had until just now
        leads to it if the `browser` cookie is the one that it was started with; the session's id is then the new one.
        """
        found = self._load_id(session_id, slide)
        if isinstance(found, Live):
            found.browser = browser
        elif found == ROTATED:
            return self._hand_over(session_id, found, slide, browser)
        return found

    def _load_id(self, session_id: str, slide: Slide) -> Live | Ended:
        place = self._place(session_id)
        return self._load(session_id, place, self.read(place), slide)

    def _hand_over(self, former_id: str, rotated: Ended, slide: Slide, browser: str | None) -> Live | Ended:
        # The answer with the new id may have been lost, or be on its way to a page whose requests came all at once.
        live = self.load_handle(former_id[:_TAG], rotated.handle, "never")
        if isinstance(live, Ended):
            return live  # both ids end together
        if not live.record.started_by(browser):
            # Whoever knows a former id and not the browser's own cookie may have stolen it.
            events.publish(events.FormerIdRefused(handle=live.record.handle, account=live.record.account))
            return rotated
        successor = live.record.successor(former_id, live.now)
        return self.load(successor, slide, browser) if successor else rotated

    def load_handle(self, tag: str, handle: str, slide: Slide) -> Live | Ended:
        """Read a session by the tag of its account and its handle, and so without its id: for bearers of tokens. One
        round trip like `load`; on a Cluster two.
        """
        for _ in range(_ATTEMPTS):
            found = self._load_handle(tag, handle, slide)
            if found != ROTATED:  # else it moved to another id between the reading and the sliding
                return found
        raise StoreUnavailable("the session kept moving", retry_after=1)

    def _load_handle(self, tag: str, handle: str, slide: Slide) -> Live | Ended:
        place = self._at(tag, "0" * _DIGEST)
        site = () if self._link.is_cluster else (self._site_epoch,)
        keys = (place.entries, place.epoch, place.standing, place.pointer, place.news, *site)
        try:
            *values, digest = items(self._link.run(scripts.BY_HANDLE, keys, handle, place.siblings), 7)
        except StoreUnavailable as error:
            if not slot_is_moving(error):
                raise
            *values, digest = self._by_handle_while_moving(place, handle)
        if not digest:
            return Ended("unknown")
        if self._link.is_cluster:
            values[2] = self._link.call("GET", self._site_epoch)
        found = self._load("", self._sibling(place, digest.decode()), tuple(values), slide)
        # The index is not sealed: it could name another session of this account in the place of one that has ended.
        return Ended("unknown") if isinstance(found, Live) and found.record.handle != handle else found

    def _by_handle_while_moving(self, place: Place, handle: str) -> list[bytes | None]:
        # What BY_HANDLE does, key by key: while its slot moves to another master of a Cluster, no script can.
        entries = self._entries(place)
        mine = {digest: entry for digest, entry in entries if entry.partition(b"|")[0] == handle.encode()}
        for digest in mine:
            stored, epoch, _, *more = self.read(self._sibling(place, digest.decode()))
            if stored is not None:
                return [stored, epoch, None, *more, digest]
        last = [digest for digest, entry in mine.items() if not entry.endswith(b"|rotated")]
        return [None, None, None, None, None, None, last[-1] if last else b""]

    def _entries(self, place: Place) -> Iterator[tuple[bytes, bytes]]:
        return pairs(self._link.call("HGETALL", place.entries))

    def again(self, live: Live, slide: Slide = "never") -> Live | Ended:
        """Read a session once more. If another request has moved it meanwhile, its `id` is the new one, or empty if
        that must not be told to the browser that asks.
        """
        found = self._load_id(live.id, slide) if live.id else ROTATED
        if found == ROTATED:  # what was let in by its id means the session, wherever it is now
            found = self.load_handle(live.place.tag, live.record.handle, slide)
            if isinstance(found, Live) and live.id and found.record.started_by(live.browser):
                found.id = found.record.successor(live.id, found.now) or ""
        if isinstance(found, Live):
            found.browser = live.browser
        return found

    def _load(self, session_id: str, place: Place, found: _Found, slide: Slide) -> Live | Ended:
        stored, epoch, site, standing, pointer, told = found
        if stored is None:
            return self._why(place)
        live = self.open(session_id, place, stored, self.now(place))
        if isinstance(live, Ended):
            return live
        reason = self.ended_by_epoch(live, epoch, site)
        if reason is not None:
            return Ended(reason, live.record.handle)
        if standing is not None:
            live.standing = self.open_standing(place.standing, standing)
        if pointer is not None:
            live.pointer = self.open_pointer(place.pointer, pointer)
        live.news = told or b""
        if slide == "now":
            return self.slide(live)
        return self._slide_if_possible(live) if self.is_due(live, slide) else live

    def is_due(self, live: Live, slide: Slide) -> bool:
        """Whether a reading for this purpose starts the idle clock again."""
        return slide == "now" or (slide == "due" and live.now - live.active >= self._slide_ms)

    def slide(self, live: Live) -> Live | Ended:
        """Start the idle clock of a session again that was read just now."""
        place = live.place
        now = number(self._link.run(scripts.TOUCH, (place.record, place.entries, place.epoch), place.digest))
        if now == 0:  # it ended in between
            return self._why(place)
        live.now = live.active = self._set_clock(now)
        live.slid = True
        return live

    def _slide_if_possible(self, live: Live) -> Live | Ended:
        # A Redis that takes no writes (a replica during a failover, a full disk) still answers. Reading goes on until
        # the idle end that was last written, and not longer: Redis drops the record then, and a failure must not
        # make a session without an idle clock.
        try:
            slid = self.slide(live)
        except StoreUnavailable as error:
            if not takes_no_writes(error) or live.now >= live.idle_expires_at:
                raise
            self._tell("slide", "Redis takes no writes, so idle clocks can't start again: %s", error)
            return live
        self._told.discard("slide")
        return slid

    def _why(self, place: Place) -> Ended:
        reason, handle = items(self._link.run(scripts.WHY, (place.entries,), place.digest), 2)
        return Ended(reason.decode(), handle.decode())

    def ended_by_epoch(self, live: Live, epoch: bytes | None, site: bytes | None) -> str | None:
        """Return the reason if the epoch of the account or of the site, as `read` found them, ended a record.

        Raises `StoreUnavailable` if one can't be read: no session may live because of that.
        """
        if live.epoch < self._epoch(live.place.epoch, epoch, live.epoch):
            return "everywhere"
        return "revoked" if live.site < self._epoch(self._site_epoch, site, live.site) else None

    def _epoch(self, key: str, stored: bytes | None, seen: int) -> int:
        # To MGET a value of another type is none. For a record that saw an epoch, GET says which of the two it is.
        return _as_epoch(key, self._link.call("GET", key) if stored is None and seen else stored)

    def _tell(self, what: str, sentence: str, *details: object) -> None:
        """Log a trouble once: it meets every request."""
        if what not in self._told:
            self._told.add(what)
            logger.warning(sentence, *details)

    def living(self, account: str) -> list[Live]:
        """Return the living sessions of an account, in no order and without their ids. Three round trips; two more
        for each time that one of them moves to another id meanwhile.
        """
        place, missing = self.place_of(account), set[str]()
        now, epoch = items(self._link.run(scripts.MOMENT, (place.epoch,)), 2)
        site = _as_epoch(self._site_epoch, self._link.call("GET", self._site_epoch))
        for _ in range(_ATTEMPTS):
            living = {digest.decode(): entry for digest, entry in self._entries(place) if entry.endswith(b"|")}
            places = [self._sibling(place, digest) for digest in living]
            stored = items(self._link.call("MGET", *(each.record for each in places)), len(places)) if places else []
            read = list(zip(places, stored, strict=True))
            before = missing
            missing = {each.digest for each, value in read if not value and _idle_end(living[each.digest]) > now}
            if missing <= before:  # none, or only what was lost
                break
        found = (self.open("", each, value, now) for each, value in read if value)
        return [live for live in found if isinstance(live, Live) and live.epoch >= epoch and live.site >= site]

    def find(self, account: str, handle: str) -> Live | None:
        """Return the living session of an account with this handle, without its id."""
        return next((live for live in self.living(account) if live.record.handle == handle), None)

    def knows(self, account: str, handle: str) -> bool:
        """Whether an account has, or lately had, a session with this handle."""
        entries = pairs(self._link.call("HGETALL", self.place_of(account).entries))
        return any(entry.partition(b"|")[0].decode() == handle for _, entry in entries)

    def create(self, record: Record, idle_seconds: int, absolute_seconds: int) -> Live:
        """Store a new record under a new id, both clocks starting now, and set its times. The other sessions of its
        account are told in the same step: there is no session that they have not been told of.
        """
        session_id = new_id(account_tag(record.account) if record.account else None)
        place = self._place(session_id)
        site = _as_epoch(self._site_epoch, self._link.call("GET", self._site_epoch))
        now, epoch = items(self._link.run(scripts.MOMENT, (place.epoch,)), 2)
        self._set_clock(now)
        record.created_at = now
        if record.account:
            record.signed_at = now
            record.checked_at = now if record.proof else 0
        idle, ends = idle_seconds * 1000, now + absolute_seconds * 1000
        live = Live(session_id, place, record, b"", now, now, 1, idle, ends, epoch, site)
        told = recent_sign_ins.SignIn(
            handle=record.handle, device=record.device, ip=record.ip, wallet=record.wallet, at=now
        )
        over = self._link.run(
            scripts.CREATE,
            (place.record, place.entries, *((place.news,) if record.account else ())),
            place.digest,
            record.handle,
            idle,
            now,
            ends,
            self._sealed(live),
            self._most,
            place.siblings,
            recent_sign_ins.seal(self._keys, place.news, told),
            recent_sign_ins.KEPT,
            recent_sign_ins.SECONDS,
        )
        if over == 0:
            raise StoreUnavailable("a fresh id is taken: a lost answer was sent again", retry_after=1)
        for handle in items(over):
            ended = events.SessionEnded(handle=handle.decode(), account=record.account, reason="limit")
            try:
                self._link.call("PUBLISH", self.channel, json.dumps({"handle": ended.handle, "reason": ended.reason}))
            except StoreUnavailable as error:
                self._announced(str(error))
            events.publish(ended)
        return live

    def _announced(self, trouble: str) -> None:
        """Note whether subscribers were told of an end. It holds all the same: what Redis holds decides."""
        if trouble:
            self._tell(
                "announce",
                "Ended sessions are not announced to subscribers: %s. If it is a permission: "
                "ACL SETUSER <user> &%s +publish",
                trouble,
                self.channel,
            )
        else:
            self._told.discard("announce")

    def save(self, live: Live, when_full: bool = False) -> Literal["saved", "gone", "changed"]:
        """Write the record back if it still exists at the revision that was read.

        With `when_full` a Redis out of memory takes it even if it has grown: for changes of a few bytes.
        """
        read = live.revision
        live.revision = read + 1
        # On a Cluster one key: with more, nothing could be saved while their slot moves to another master.
        epochs = () if self._link.is_cluster else (live.place.epoch, self._site_epoch)
        keys = (live.place.record, *epochs)
        sealed = self._sealed(live)
        outcome = self._link.run(scripts.SAVE, keys, read, sealed, int(when_full), live.epoch, live.site)
        if outcome != 1:
            live.revision = read
        return "saved" if outcome == 1 else "gone" if outcome == 0 else "changed"

    def rotate(
        self, live: Live, change: Callable[[Record], None] | None = None, restart_seconds: int = 0
    ) -> Live | None:
        """Move the record to a new id in one step, so that the old id is dead when the new one lives.

        `change` is made to the record in the same step. Both clocks go on, or start again with an absolute one of
        `restart_seconds`. An account's session gets a new CSRF secret with its new id. Returns `None` if the session
        was revoked or changed meanwhile.
        """
        record = copy(live.record)
        if change is not None:
            change(record)
        # Another key for each attempt: two rotations at once lead to two ids, and only one of them comes about.
        key = secrets.token_bytes(32)
        session_id = _following(live.id, key) if live.id else new_id(live.place.tag)
        if record.account:
            # The time of this moment: a request may have read its session long before, and then taken in an upload.
            csrf, now = record.data.get(CSRF_KEY, ""), self.now(live.place)
            former = FormerId(digest=_short_digest(live.id), key=key, csrf=csrf, at=now)
            kept = [each for each in record.formers if now - each.at <= CONFIRMING_GRACE]
            record.formers = (*kept, former)[-_FORMER_IDS:]
            record.data = record.data | {CSRF_KEY: secrets.token_hex(32)}
        moved = replace(live, id=session_id, place=self._place(session_id), record=record, revision=1)
        if restart_seconds:
            moved.active = record.restarted_at = live.now
            moved.ends = live.now + restart_seconds * 1000
        outcome = self._link.run(
            scripts.ROTATE,
            (live.place.record, live.place.entries, moved.place.record, live.place.epoch),
            live.revision,
            live.epoch,
            live.place.digest,
            moved.place.digest,
            live.record.handle,
            live.record.created_at,
            moved.ends,
            self._sealed(moved),
            live.idle if restart_seconds else 0,
        )
        if outcome != 1:
            return None
        if live.record.account:
            events.publish(events.SessionRotated(handle=live.record.handle, account=live.record.account))
        return moved

    def revoke(self, live: Live, reason: str) -> bool:
        """End a session for good and announce it; return whether it was still alive."""
        return self._revoke(live.place, live.record.handle, live.record.account or None, reason) == 1

    def revoke_former(self, session_id: str, browser: str | None, reason: str) -> bool:
        """End the session that had this id before, however long ago, for the browser that started it; return whether
        it has ended.
        """
        live = self._load_id(session_id, "never")  # it may be about to change, and refused for that
        if isinstance(live, Ended) and live == ROTATED:
            live = self.load_handle(session_id[:_TAG], live.handle, "never")
        if isinstance(live, Live) and live.record.started_by(browser):
            self.revoke(live, reason)
            return True
        return isinstance(live, Ended)

    def revoke_visitor(self, live: Live) -> bool:
        """End a visitor's session, unless it was written to since it was read; return whether it has ended."""
        return bool(self._link.run(scripts.REVOKE_VISITOR, (live.place.record,), live.revision) != -1)

    def revoke_handle(self, account: str, handle: str, reason: str) -> bool | None:
        """End the session of an account that has this handle.

        Returns whether it was still alive, or `None` if the account has, and lately had, no such session.
        """
        outcome = self._revoke(self.place_of(account)._replace(digest=""), handle, account, reason)
        return None if outcome == -1 else outcome == 1

    def _revoke(self, place: Place, handle: str, account: str | None, reason: str) -> int:
        announcement = json.dumps({"handle": handle, "reason": reason})
        arguments = (place.digest, reason, self.channel, announcement, handle, place.siblings)
        outcome = self._end(account, reason, scripts.REVOKE, (place.record, place.entries), *arguments)
        if outcome == 1 and handle:
            events.publish(events.SessionEnded(handle=handle, account=account, reason=reason))
        return outcome

    def revoke_others(self, live: Live) -> int | None:
        """End every session of the account but this one, those being signed in right now included. One write.

        Returns how many there were, or `None` if this one was revoked or changed meanwhile.
        """
        # From the time, as in the script EVERYWHERE: an epoch that was gone must not begin at one again.
        successor = replace(live, epoch=max(live.epoch + 1, live.now), revision=live.revision + 1)
        announcement = {"account": live.record.account, "reason": "revoked", "except": live.record.handle}
        ended = self._end(
            live.record.account,
            "revoked",
            scripts.OTHERS,
            (live.place.record, live.place.entries, live.place.epoch),
            live.revision,
            live.epoch,
            live.place.digest,
            self._sealed(successor),
            self.channel,
            json.dumps(announcement),
            live.place.siblings,
            successor.epoch,
            scripts.EPOCH_SECONDS,
        )
        if ended == -1:
            return None
        live.epoch, live.revision, live.plaintext = successor.epoch, successor.revision, successor.plaintext
        events.publish(events.SessionsRevoked(account=live.record.account, scope="others"))
        return ended

    def revoke_account(self, account: str, reason: str = "everywhere") -> int:
        """End every session of an account, those being signed in right now included; return how many lived. One
        write.
        """
        place = self.place_of(account)
        announcement = json.dumps({"account": account, "reason": reason})
        arguments = (self.channel, announcement, place.siblings, reason, scripts.EPOCH_SECONDS)
        return self._end(account, reason, scripts.EVERYWHERE, (place.epoch, place.entries), *arguments)

    def revoke_everybody(self) -> None:
        """End every session of everybody. One write."""
        announcement = json.dumps({"reason": "revoked"})
        self._end(None, "revoked", scripts.BUMP, (self._site_epoch,), self.channel, announcement)

    def _end(
        self, account: str | None, reason: str, script: Script, keys: tuple[str, ...], *arguments: str | bytes | int
    ) -> int:
        """Run a script that ends sessions; return the number it answers."""
        reply, confirmed = self._link.revoke(script, keys, *arguments)
        if not confirmed:
            events.publish(events.RevocationUnconfirmed(account=account, reason=reason))
        ended, trouble = items(reply, 2)
        self._announced(trouble.decode())
        return number(ended)

    def open_standing(self, key: str, sealed: bytes | None) -> Standing:
        """Open what `directory` sealed for this key; what can't be opened gives nobody a role."""
        if not sealed:
            return UNKNOWN
        try:
            return self._decode_standing(self._keys.open(sealed, key.encode()))
        except (Unsealable, msgspec.MsgspecError):
            events.publish(events.RecordUnreadable(key=key))
            return UNKNOWN

    def open_pointer(self, key: str, sealed: bytes | None) -> Pointer:
        """Open what `people` sealed for this key; what can't be opened leads to no person.

        Its account then goes by an id that it never had: its first one may be that of a person who unlinked it.
        """
        if not sealed:
            return UNLINKED
        try:
            return self._decode_pointer(self._keys.open(sealed, key.encode()))
        except (Unsealable, msgspec.MsgspecError):
            events.publish(events.RecordUnreadable(key=key))
            return Pointer(alone=derived_id(key.encode() + sealed))

    def sign_ins_elsewhere(self, live: Live) -> list[recent_sign_ins.SignIn]:
        """Return the sign-ins of this account in the last day that came after that of this session, newest first, as
        they were read with it; at most `news.KEPT`.
        """
        return recent_sign_ins.since(self._keys, live.place.news, live.news, live.record.handle, live.now)

    def time(self) -> int:
        """Return Redis's time, in milliseconds since the epoch."""
        return number(items(self._link.run(scripts.MOMENT, (self._site_epoch,)), 2)[0])

    def spend(self, nonce: str, seconds: int, when_full: bool = False) -> bool:
        """Spend a nonce, for all workers and for `seconds`; return False if it was spent before.

        With `when_full` it works when Redis is out of memory: for signatures that end sessions.
        """
        if when_full:
            key = f"{self._prefix}nonce:{nonce}"
            return number(self._link.run(scripts.SPEND, (key,), max(1, seconds))) == 1
        reply = self._link.call("SET", f"{self._prefix}nonce:{nonce}", 1, "NX", "EX", max(1, seconds))
        if reply not in (None, b"OK", True):
            raise StoreUnavailable("Redis did not say whether a nonce is new", retry_after=2)
        return reply is not None

    def spent(self, nonce: str) -> bool:
        """Whether a nonce was spent."""
        return bool(self._link.call("EXISTS", f"{self._prefix}nonce:{nonce}"))

    def read(self, place: Place) -> _Found:
        """Return what is stored at a place: the record, the epochs of account and site, standing, pointer, news."""
        # One plain command for all of them: a script would cost a tenth of the whole request. On a Cluster the site's
        # epoch is on another slot, and costs a second round trip.
        of_account = (place.standing, place.pointer, place.news)
        if self._link.is_cluster:
            stored, epoch, *more = items(self._link.call("MGET", place.record, place.epoch, *of_account), 5)
            return stored, epoch, self._link.call("GET", self._site_epoch), *more
        return tuple(items(self._link.call("MGET", place.record, place.epoch, self._site_epoch, *of_account), 6))

    def open(self, session_id: str, place: Place, stored: bytes, now: int) -> Live | Ended:
        """Open a stored record; `now` is in milliseconds since the epoch."""
        try:
            active, *header, sealed = stored.split(b"|", 6)
            plaintext = self._keys.open(sealed, _associated(place.record, header))
            record = self.decode(plaintext)
            revision, idle, ends, epoch, site = map(int, header)
            live = Live(session_id, place, record, plaintext, now, int(active), revision, idle, ends, epoch, site)
        except (Unsealable, msgspec.MsgspecError, ValueError):
            # Changed by somebody who can write to Redis, or sealed with a retired key: no session, and somebody
            # should look.
            events.publish(events.RecordUnreadable(key=place.record))
            return Ended("unknown")
        # The TTL sees to this, unless somebody took it off the key.
        return live if now < live.ends else Ended("absolute")

    def _sealed(self, live: Live) -> bytes:
        """Seal the record; return what is stored, without the time of the last activity in front."""
        header = [b"%d" % number for number in (live.revision, live.idle, live.ends, live.epoch, live.site)]
        data = session_data.to_stored(live.record.data)  # what can't be kept must fail here, and not sign out
        live.plaintext = self._encode(msgspec.structs.replace(live.record, data=data))
        return b"|".join((b"", *header, self._keys.seal(live.plaintext, _associated(live.place.record, header))))

    def now(self, place: Place) -> int:
        """Return the time in milliseconds since the epoch, by Redis's clock as we last heard it."""
        # Redis's clock decides when a session ends, but need not be asked on each request: for a minute, ours goes on
        # from what it said. Not the monotonic one alone: it stands still while a machine sleeps, and nothing would
        # slide. Not the wall clock alone either: it is set by people and by NTP, and everybody would be signed out,
        # or stay signed in. Where the two disagree, Redis is asked.
        wall, steady = time.time(), time.monotonic()
        if steady >= self._ask_again or abs(wall - steady - self._steady) > _JUMP:
            return self._set_clock(number(items(self._link.run(scripts.MOMENT, (place.epoch,)), 2)[0]))
        return int(wall * 1000 + self._ahead)

    def _set_clock(self, now: int) -> int:
        wall, steady = time.time(), time.monotonic()
        self._ahead, self._ask_again, self._steady = now - wall * 1000, steady + 60, wall - steady
        return now

    def _place(self, session_id: str) -> Place:
        return self._at(session_id[:_TAG], hashlib.sha256(session_id.encode()).hexdigest())

    def _at(self, tag: str, digest: str) -> Place:
        base = f"{self._prefix}{{{tag}}}:"
        names = ("index", "epoch", "standing", "person", "news")
        return Place(digest, f"{base}session:{digest}", *(base + name for name in names))

    def place_of(self, account: str) -> Place:
        """Return the place of no session of an account, beside all of them."""
        return self._at(account_tag(account), "0" * _DIGEST)

    def place_at(self, key: str) -> Place:
        """Return the place that the key of a record names."""
        base, _, digest = key.removeprefix(self._prefix).partition(":session:")
        return self._at(base[1:-1], digest)

    def pattern(self, name: str) -> str:
        """Return what SCAN finds all keys of a name by, whoever they are of."""
        prefix = re.sub(r"([][*?\\])", r"\\\1", self._prefix)  # it may hold what SCAN takes for a wildcard
        return f"{prefix}{{*}}:{name}"

    @staticmethod
    def _sibling(place: Place, digest: str) -> Place:
        return place._replace(digest=digest, record=place.siblings + digest)


def _idle_end(entry: bytes) -> int:
    """Return the idle end in an entry of the index; entries of earlier versions have none."""
    parts = entry.split(b"|")
    return int(parts[3]) if len(parts) == 5 and parts[3].isdigit() else 0


def _short_digest(session_id: str) -> bytes:
    return hashlib.sha256(session_id.encode()).digest()[:16]


def _following(session_id: str, key: bytes) -> str:
    """Return the id that follows from this one by a key that only the record holds."""
    digest = hmac.new(key, session_id.encode(), hashlib.sha256).digest()
    return session_id[:_TAG] + urlsafe_b64encode(digest).decode().rstrip("=")


def _as_epoch(key: str, stored: Any) -> int:
    epoch = 0 if stored is None else number(stored, key)
    if epoch < 0:
        raise StoreUnavailable(f"{key} holds no epoch", retry_after=2)
    return epoch


def _associated(key: str, header: list[bytes]) -> bytes:
    # Ties the sealed part to its key and to the clocks and epochs beside it: none can be exchanged for another
    # record's.
    return b"|".join((key.encode(), *header))
