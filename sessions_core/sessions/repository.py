"""Session records in Redis: encrypted, found by the digest of their id, changed only by the scripts of `scripts`."""

from __future__ import annotations

import json
import logging
import math
import re
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from .. import events
from ..errors import StoreUnavailable
from ..settings import Settings
from ..storage import scripts
from ..storage.connection import RedisConnection, slot_is_moving
from ..storage.encrypted_value import attempts
from ..storage.encryption import DecryptionFailed, KeyRing, derived, permuted
from ..storage.replies import items, number, takes_no_writes
from . import session_data
from .record import (
    ROTATED,
    TAG,
    AccountKey,
    AccountValues,
    EndedSession,
    LoadedSession,
    SessionKeys,
    SessionRecord,
    account_tag,
    digest_of,
    following,
    new_id,
)

logger = logging.getLogger(__name__)

KeepAlive = Literal["never", "due", "now"]
Change = Callable[[SessionRecord], object]

_OPENED, _OPENED_BYTES = 1000, 4096  # decrypted records that are kept, each of at most this length
_JUMP = 1.0  # seconds by which this process's two clocks may differ before Redis is asked
_MOVES = 10  # of a session by other requests, while it is read


class Found(NamedTuple):
    """The stored values of a session: its record, the epoch of its account, the global epoch, and the values of
    parts.
    """

    record: bytes | None
    epoch: bytes | None
    global_epoch: bytes | None
    values: Sequence[bytes | None]


class Revocation(NamedTuple):
    """How many sessions were alive and have ended, and whether enough replicas confirmed it. `ended` is -1 for a
    session that the account never had, and for one that another request changed.
    """

    ended: int
    confirmed: bool


class SessionRepository:
    """Reads, creates, saves, moves and deletes records; raises `StoreUnavailable` when Redis does not answer.

    Requests and parts end sessions through `Lifecycle`, which publishes the event. `account_keys` are the keys of
    parts for each account.
    """

    def __init__(
        self, connection: RedisConnection, keys: KeyRing, settings: Settings, account_keys: Iterable[AccountKey] = ()
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._handle_keys = derived(settings.secrets, "sessions_core handle 1")
        self._prefix = settings.redis_prefix
        self._most = settings.sessions_per_account
        self._keep_alive_ms = settings.slide_seconds * 1000
        self._global_epoch = f"{self._prefix}epoch"
        declared = tuple(account_keys)
        self._names = [each.name for each in declared if each.read]
        self._lists = [each for each in declared if each.entry is not None]
        self.channel = f"{self._prefix}ended"
        self._encode = msgspec.msgpack.Encoder().encode
        self.decode = msgspec.msgpack.Decoder(SessionRecord, ext_hook=session_data.read_extension).decode
        self._opened = lru_cache(_OPENED)(self._decrypted)
        self._ahead, self._ask_again, self._steady = 0.0, -math.inf, 0.0
        self._logged: set[str] = set()  # troubles that were logged, each until it is over

    # -- Reading ---------------------------------------------------------------------------------------------

    def load(
        self, session_id: str, keep_alive: KeepAlive, browser: str | None = None
    ) -> LoadedSession | EndedSession:
        """Read a session, both epochs and the account's values in one round trip (two once a minute, to read Redis's
        clock).

        `keep_alive` says whether the idle clock starts again: `never` (a status read), `due` (activity, written at
        most once a minute, in a second round trip) or `now` (the user asked). An id that the session had until just
        now leads to it if the `browser` cookie is the one that it was started with; the session's id is then the new
        one.
        """
        found = self.load_id(session_id, keep_alive)
        if isinstance(found, LoadedSession):
            found.browser = browser
        elif found == ROTATED:
            return self._hand_over(session_id, found, keep_alive, browser)
        return found

    def load_id(self, session_id: str, keep_alive: KeepAlive) -> LoadedSession | EndedSession:
        """Read a session by exactly this id; for a former id return `ROTATED`."""
        keys = self._keys_of(session_id)
        return self._load(session_id, keys, self.read(keys), keep_alive)

    def _hand_over(
        self, former_id: str, rotated: EndedSession, keep_alive: KeepAlive, browser: str | None
    ) -> LoadedSession | EndedSession:
        # The answer with the new id may have been lost, or be on its way to a page that sent several requests at
        # once.
        live = self.load_handle(former_id[:TAG], rotated.handle, "never")
        if isinstance(live, EndedSession):
            return live  # both ids end together
        if not live.record.started_by(browser):
            # A client that knows a former id, but not the browser's own cookie, may have stolen the id.
            events.publish(events.FormerIdRefused(handle=live.record.handle, account=live.record.account))
            return rotated
        successor = live.record.successor(former_id, live.now)
        return self.load(successor, keep_alive, browser) if successor else rotated

    def load_handle(self, tag: str, handle: str, keep_alive: KeepAlive) -> LoadedSession | EndedSession:
        """Read a session by the tag of its account and its handle, and so without its id. One round trip like `load`;
        on a Cluster two. For a handle that the account never had, the handle of the answer is empty.
        """
        for _ in range(_MOVES):
            found = self._load_handle(tag, handle, keep_alive)
            if found != ROTATED:  # otherwise it moved to another id between reading and writing
                return found
        raise StoreUnavailable("the session kept moving", retry_after=1)

    def find_handle(self, handle: str) -> LoadedSession | None:
        """Return the living session that `new_handle` named, without its id; one round trip for each secret.

        `None` also for one that was named with a secret that is no longer used, or before handles led to the account.
        """
        for key in reversed(self._handle_keys):
            tag = urlsafe_b64encode(permuted(key, urlsafe_b64decode(handle[-16:]), back=True)[:9]).decode()
            found = self.load_handle(tag, handle, "never")
            if isinstance(found, LoadedSession):
                return found
        return None

    def new_handle(self, prefix: str, account: str) -> str:
        """Return a fresh handle for a session of an account. Who lacks the secret can't tell which account it is."""
        block = urlsafe_b64decode(account_tag(account)) + secrets.token_bytes(3)
        return prefix + urlsafe_b64encode(permuted(self._handle_keys[-1], block)).decode()

    def _load_handle(self, tag: str, handle: str, keep_alive: KeepAlive) -> LoadedSession | EndedSession:
        keys = SessionKeys.at(self._prefix, tag)
        others = [keys.account_key(name) for name in self._names]
        elsewhere = self._connection.reachable(self._global_epoch)
        try:
            reply = self._connection.run(
                scripts.FIND_BY_HANDLE,
                (keys.entries, keys.epoch, *others, *elsewhere),
                *(handle, keys.session_prefix, len(others)),
            )
            record, epoch, global_epoch, *values, digest = items(reply, 4 + len(others))
        except StoreUnavailable as error:
            if not slot_is_moving(error):
                raise
            moving, digest = self._by_handle_while_moving(keys, handle)
            record, epoch, global_epoch, values = *moving[:3], list(moving.values)
        if not digest:
            return EndedSession("unknown")
        if not elsewhere:
            global_epoch = self._connection.call("GET", self._global_epoch)
        found = self._load("", keys.sibling(digest.decode()), Found(record, epoch, global_epoch, values), keep_alive)
        if isinstance(found, EndedSession):
            return EndedSession(found.reason, handle)
        # The index is not encrypted: an attacker who can write to Redis could make it name another session in the
        # place of one that has ended.
        return found if found.record.handle == handle else EndedSession("unknown", handle)

    def _by_handle_while_moving(self, keys: SessionKeys, handle: str) -> tuple[Found, bytes]:
        # The steps of FIND_BY_HANDLE, key by key: no script can run while its slot moves to another master of a
        # Cluster.
        mine = {digest: entry for digest, entry in self._entries(keys) if entry.partition(b"|")[0] == handle.encode()}
        for digest in mine:
            found = self.read(keys.sibling(digest.decode()))
            if found.record is not None:
                return found, digest
        last = [digest for digest, entry in mine.items() if not entry.endswith(b"|rotated")]
        return Found(None, None, None, ()), last[-1] if last else b""

    def reload(self, live: LoadedSession, keep_alive: KeepAlive = "never") -> LoadedSession | EndedSession:
        """Read a session once more. If another request has moved it meanwhile, its `id` is the new one, or empty if
        that must not be told to the browser that asks.
        """
        found = self.load_id(live.id, keep_alive) if live.id else ROTATED
        if found == ROTATED:  # admitted by its id, the request means the session under its present id
            found = self.load_handle(live.keys.tag, live.record.handle, keep_alive)
            if isinstance(found, LoadedSession) and live.id and found.record.started_by(live.browser):
                found.id = found.record.successor(live.id, found.now) or ""
        if isinstance(found, LoadedSession):
            found.browser = live.browser
        return found

    def _load(
        self, session_id: str, keys: SessionKeys, found: Found, keep_alive: KeepAlive
    ) -> LoadedSession | EndedSession:
        if found.record is None:
            return self._end_reason(keys)
        live = self.decrypt(session_id, keys, found.record, self.now(keys))
        if isinstance(live, EndedSession):
            return live
        reason = self.ended_by_epoch(live, found)
        if reason is not None:
            return EndedSession(reason, live.record.handle)
        live.account_values.update(zip(self._names, found.values, strict=False))
        if keep_alive == "now":
            return self.keep_alive(live)
        return self._keep_alive_if_possible(live) if self.is_due(live, keep_alive) else live

    def is_due(self, live: LoadedSession, keep_alive: KeepAlive) -> bool:
        """Whether reading with this `keep_alive` starts the idle clock again."""
        return keep_alive == "now" or (keep_alive == "due" and live.now - live.active >= self._keep_alive_ms)

    def keep_alive(self, live: LoadedSession) -> LoadedSession | EndedSession:
        """Start the idle clock again of a session that was read just now."""
        keys = live.keys
        reply = self._connection.run(scripts.KEEP_ALIVE, (keys.record, keys.entries, keys.epoch), keys.digest)
        now = number(reply)
        if now == 0:  # it ended in between
            return self._end_reason(keys)
        live.now = live.active = self._set_clock(now)
        live.kept_alive = True
        return live

    def _keep_alive_if_possible(self, live: LoadedSession) -> LoadedSession | EndedSession:
        # A Redis that takes no writes (a replica during a failover, a full disk) still answers. The session can be
        # read until the idle end that was last written, and not longer: Redis deletes the record then, and a failure
        # must not create a session without an idle clock.
        try:
            kept = self.keep_alive(live)
        except StoreUnavailable as error:
            if not takes_no_writes(error) or live.now >= live.idle_expires_at:
                raise
            self._log_once("keep alive", "Redis takes no writes, so idle clocks can't start again: %s", error)
            return live
        self._logged.discard("keep alive")
        return kept

    def _end_reason(self, keys: SessionKeys) -> EndedSession:
        reason, handle = items(self._connection.run(scripts.END_REASON, (keys.entries,), keys.digest), 2)
        return EndedSession(reason.decode(), handle.decode())

    def ended_by_epoch(self, live: LoadedSession, found: Found) -> str | None:
        """Return the reason if the epoch of the account or the global one, as `read` found them, ended a record.

        Raises `StoreUnavailable` if one can't be read: a failure must not keep a session alive.
        """
        if live.epoch < self._epoch(live.keys.epoch, found.epoch, live.epoch):
            return "everywhere"
        seen = live.global_epoch
        return "revoked" if seen < self._epoch(self._global_epoch, found.global_epoch, seen) else None

    def _epoch(self, key: str, stored: bytes | None, seen: int) -> int:
        # MGET returns nothing for a value of another type. For a record that saw an epoch, GET tells the two cases
        # apart.
        return _as_epoch(key, self._connection.call("GET", key) if stored is None and seen else stored)

    def read(self, keys: SessionKeys) -> Found:
        """Return the stored values of a session."""
        # Plain commands: a script would cost a tenth of the whole request.
        others = [keys.account_key(name) for name in self._names]
        record, epoch, global_epoch, *values = self._connection.values(
            keys.record, keys.epoch, self._global_epoch, *others
        )
        return Found(record, epoch, global_epoch, values)

    def read_each(self, sessions: Sequence[SessionKeys]) -> list[Found]:
        """Return what is stored of sessions of any accounts, without the values of parts, in one round trip."""
        records, epochs = [each.record for each in sessions], [each.epoch for each in sessions]
        *stored, global_epoch = self._connection.values(*records, *epochs, self._global_epoch)
        pairs = zip(stored, stored[len(sessions) :], strict=False)
        return [Found(record, epoch, global_epoch, ()) for record, epoch in pairs]

    def account_values(self, account: str) -> AccountValues:
        """Return the values of parts for an account, its epochs and the time, in one round trip."""
        return self._account(self.account_keys(account), self._names)

    def _account(self, keys: SessionKeys, names: Sequence[str]) -> AccountValues:
        others = [keys.account_key(name) for name in names]
        elsewhere = self._connection.reachable(self._global_epoch)
        try:
            reply = self._connection.run(scripts.ACCOUNT, (keys.epoch, *others, *elsewhere), len(others))
            now, epoch, global_epoch, *values = items(reply, 3 + len(others))
        except StoreUnavailable as error:
            if not slot_is_moving(error):
                raise
            now, epoch, global_epoch = items(self._connection.run(scripts.ACCOUNT, (keys.epoch,), 0), 3)
            values = self._connection.values(*others)
        if not elsewhere:
            global_epoch = self._connection.call("GET", self._global_epoch)
        found = zip(names, values, strict=True)
        return AccountValues(keys, self._set_clock(now), epoch, _as_epoch(self._global_epoch, global_epoch), found)

    def living(self, account: str) -> list[LoadedSession]:
        """Return the living sessions of an account, in no order and without their ids. Three round trips; two more
        for each time that one of them moves to another id meanwhile.
        """
        keys, missing = self.account_keys(account), set[str]()
        state = self._account(keys, ())
        for _ in range(_MOVES):
            living = {digest.decode(): entry for digest, entry in self._entries(keys) if entry.endswith(b"|")}
            each_keys = [keys.sibling(digest) for digest in living]
            stored = self._connection.values(*(each.record for each in each_keys))
            read = list(zip(each_keys, stored, strict=True))
            before = missing
            missing = {
                each.digest for each, value in read if not value and _idle_end(living[each.digest]) > state.now
            }
            if missing <= before:  # none, or only lost ones
                break
        found = (self.decrypt("", each, value, state.now) for each, value in read if value)
        return [
            live
            for live in found
            if isinstance(live, LoadedSession)
            and live.epoch >= state.epoch
            and live.global_epoch >= state.global_epoch
        ]

    def find(self, account: str, handle: str) -> LoadedSession | EndedSession | None:
        """Return a session of an account by its handle, without its id, or how it ended; `None` if the account has no
        such session, and had none recently. One round trip; another for one that has ended.
        """
        found = self.load_handle(account_tag(account), handle, "never")
        if isinstance(found, EndedSession):
            return found if found.handle == handle else None
        return found if found.record.account == account else None

    def find_living(self, account: str, handle: str) -> LoadedSession | None:
        """Return the living session of an account with this handle, without its id."""
        found = self.find(account, handle)
        return found if isinstance(found, LoadedSession) else None

    def _entries(self, keys: SessionKeys) -> Iterator[tuple[bytes, bytes]]:
        return self._connection.fields(keys.entries)

    # -- Writing ---------------------------------------------------------------------------------------------

    def create(
        self,
        record: SessionRecord,
        idle_seconds: int,
        absolute_seconds: int,
        account_values: AccountValues | None = None,
    ) -> LoadedSession:
        """Store a new record under a new id, both clocks starting now, and set its times.

        `account_values` are those of its account, if they were read just now: a session is older than any revocation
        since then. What parts keep of each new session (`AccountKey.entry`) is written in the same step.
        """
        session_id = new_id(account_tag(record.account) if record.account else None)
        keys = self._keys_of(session_id)
        state = account_values or self._account(keys, self._names if record.account else ())
        record.created_at = state.now
        record.signed_at = state.now if record.account else 0
        idle, ends = idle_seconds * 1000, state.now + absolute_seconds * 1000
        live = LoadedSession(
            *(session_id, keys, record, b"", state.now, state.now, 1, idle, ends, state.epoch, state.global_epoch),
            account_values=state,
        )
        lists = {keys.account_key(each.name): each for each in self._lists if record.account and each.entry}
        over = self._connection.run(
            scripts.CREATE,
            (keys.record, keys.entries, *lists),
            keys.digest,
            record.handle,
            idle,
            state.now,
            ends,
            self.encrypted(live),
            self._most,
            keys.session_prefix,
            *(
                argument
                for key, each in lists.items()
                for argument in ((each.entry and each.entry(self._keys, key, record)) or b"", each.most, each.seconds)
            ),
        )
        if over == 0:
            raise StoreUnavailable("a fresh id is taken: a lost answer was sent again", retry_after=1)
        live.displaced = tuple(handle.decode() for handle in items(over))
        for handle in live.displaced:
            try:
                self._connection.call("PUBLISH", self.channel, json.dumps({"handle": handle, "reason": "limit"}))
            except StoreUnavailable as error:
                self._announced(str(error))
        return live

    def save(self, live: LoadedSession, when_full: bool = False) -> Literal["saved", "gone", "changed"]:
        """Save the record if it still exists at the revision that was read.

        With `when_full` a Redis that is out of memory accepts it even if it has grown: for changes of a few bytes.
        """
        keys, arguments = self._saving(live, when_full)
        outcome = self._connection.run(scripts.SAVE, keys, *arguments)
        live.revision -= outcome != 1
        return "saved" if outcome == 1 else "gone" if outcome == 0 else "changed"

    def save_each(self, sessions: Sequence[LoadedSession]) -> int:
        """Save records as `save` does, in one round trip to each master; return how many were saved."""
        return self._connection.run_each(scripts.SAVE, [self._saving(live) for live in sessions]).count(1)

    def _saving(self, live: LoadedSession, when_full: bool = False) -> tuple[Sequence[str], Sequence[bytes | int]]:
        live.revision += 1
        # On a Cluster only one key: with more, nothing could be saved while their slot moves to another master.
        keys = (live.keys.record, *self._connection.reachable(live.keys.epoch, self._global_epoch))
        return keys, (live.revision - 1, self.encrypted(live), int(when_full), live.epoch, live.global_epoch)

    def change(self, live: LoadedSession, change: Change) -> LoadedSession | EndedSession:
        """Change the record as it is stored now; return the session with it, or how it ended.

        `change` gets a copy of the record, with the data of `flask.session` as it is stored, and may be called more
        than once.
        """
        for _ in attempts("the record"):
            changed = replace(live, record=copy(live.record))
            # A view may have changed its lists and dicts in place.
            changed.record.data = self.decode(live.plaintext).data
            change(changed.record)
            if self.save(changed) == "saved":
                return changed
            found = self.reload(live)
            if isinstance(found, EndedSession):
                return found
            live = found
        raise AssertionError  # `attempts` has raised

    def rotate(
        self, live: LoadedSession, change: Change | None = None, restart_seconds: int = 0
    ) -> LoadedSession | None:
        """Move the record to a new id in one step, so that the old id is dead when the new one lives.

        `change` is made to the record in the same step. Both clocks go on, or start again with an absolute one of
        `restart_seconds`. An account's session gets a new CSRF secret with its new id. Returns `None` if the session
        was revoked or changed meanwhile.
        """
        record = copy(live.record)
        if change is not None:
            change(record)
        # A new key for each attempt: two rotations at once lead to two ids, and only one of them is stored.
        key = secrets.token_bytes(32)
        session_id = following(live.id, key) if live.id else new_id(live.keys.tag)
        if record.account:
            # The present time: a request may have read its session long before, and then received an upload.
            record.give_up_id(live.id, key, self.now(live.keys))
        moved = replace(live, id=session_id, keys=self._keys_of(session_id), record=record, revision=1)
        if restart_seconds:
            moved.active = record.restarted_at = live.now
            moved.absolute_expires_at = live.now + restart_seconds * 1000
        outcome = self._connection.run(
            scripts.ROTATE,
            (live.keys.record, live.keys.entries, moved.keys.record, live.keys.epoch),
            live.revision,
            live.epoch,
            live.keys.digest,
            moved.keys.digest,
            live.record.handle,
            live.record.created_at,
            moved.absolute_expires_at,
            self.encrypted(moved),
            live.idle_timeout_ms if restart_seconds else 0,
        )
        return moved if outcome == 1 else None

    # -- Ending ----------------------------------------------------------------------------------------------

    def revoke(self, live: LoadedSession, reason: str) -> Revocation:
        """Delete a session under whichever id it has now, note the reason and announce it."""
        return self._revoke(live.keys, live.record.handle, reason)

    def revoke_handle(self, account: str, handle: str, reason: str) -> Revocation:
        """Delete the session of an account that has this handle, as `revoke` does."""
        return self._revoke(self.account_keys(account)._replace(digest=""), handle, reason)

    def _revoke(self, keys: SessionKeys, handle: str, reason: str) -> Revocation:
        announcement = json.dumps({"handle": handle, "reason": reason})
        arguments = (keys.digest, reason, self.channel, announcement, handle, keys.session_prefix)
        return self._end(scripts.REVOKE, (keys.record, keys.entries), *arguments)

    def revoke_visitor(self, live: LoadedSession) -> bool:
        """Delete a visitor's session, unless it was changed since it was read; return whether it has ended."""
        return bool(self._connection.run(scripts.REVOKE_VISITOR, (live.keys.record,), live.revision) != -1)

    def revoke_others(self, live: LoadedSession) -> Revocation:
        """Delete every session of the account but this one, those being signed in right now included. One write.

        `ended` is -1 if this one was revoked or changed meanwhile.
        """
        # From the time, as in `revoke_account.lua`: an epoch that had expired must not begin at one again.
        successor = replace(live, epoch=max(live.epoch + 1, live.now), revision=live.revision + 1)
        announcement = {"account": live.record.account, "reason": "revoked", "except": live.record.handle}
        done = self._end(
            scripts.REVOKE_OTHERS,
            (live.keys.record, live.keys.entries, live.keys.epoch),
            live.revision,
            live.epoch,
            live.keys.digest,
            self.encrypted(successor),
            self.channel,
            json.dumps(announcement),
            live.keys.session_prefix,
            successor.epoch,
            scripts.EPOCH_SECONDS,
        )
        if done.ended != -1:
            live.epoch, live.revision, live.plaintext = successor.epoch, successor.revision, successor.plaintext
        return done

    def revoke_account(self, account: str, reason: str = "everywhere") -> Revocation:
        """Delete every session of an account, those being signed in right now included. One write."""
        keys = self.account_keys(account)
        announcement = json.dumps({"account": account, "reason": reason})
        arguments = (self.channel, announcement, keys.session_prefix, reason, scripts.EPOCH_SECONDS)
        return self._end(scripts.REVOKE_ACCOUNT, (keys.epoch, keys.entries), *arguments)

    def revoke_everybody(self) -> Revocation:
        """End every session of all accounts. One write."""
        announcement = json.dumps({"reason": "revoked"})
        return self._end(scripts.BUMP_EPOCH, (self._global_epoch,), self.channel, announcement)

    def _end(self, script: scripts.Script, keys: tuple[str, ...], *arguments: str | bytes | int) -> Revocation:
        reply, confirmed = self._connection.revoke(script, keys, *arguments)
        ended, trouble = items(reply, 2)
        self._announced(trouble.decode())
        return Revocation(number(ended), confirmed)

    def _announced(self, trouble: str) -> None:
        """Log whether subscribers were told of an end. The session has ended anyway: Redis decides."""
        if trouble:
            self._log_once(
                "announce",
                "Ended sessions are not announced to subscribers: %s. If it is a permission: "
                "ACL SETUSER <user> &%s +publish",
                trouble,
                self.channel,
            )
        else:
            self._logged.discard("announce")

    def _log_once(self, what: str, sentence: str, *details: object) -> None:
        """Log a trouble once: it affects every request."""
        if what not in self._logged:
            self._logged.add(what)
            logger.warning(sentence, *details)

    # -- Nonces ----------------------------------------------------------------------------------------------

    def consume_nonce(self, nonce: str, seconds: int, when_full: bool = False) -> bool:
        """Consume a nonce, for all workers and for `seconds`; return False if it was consumed before.

        With `when_full` it works when Redis is out of memory: for signatures that end sessions.
        """
        key = f"{self._prefix}nonce:{nonce}"
        if when_full:
            return number(self._connection.run(scripts.CONSUME_NONCE, (key,), max(1, seconds))) == 1
        reply = self._connection.call("SET", key, 1, "NX", "EX", max(1, seconds))
        if reply not in (None, b"OK", True):
            raise StoreUnavailable("Redis did not say whether a nonce is new", retry_after=2)
        return reply is not None

    def is_consumed(self, nonce: str) -> bool:
        """Whether a nonce was consumed."""
        return bool(self._connection.call("EXISTS", f"{self._prefix}nonce:{nonce}"))

    # -- Encryption ------------------------------------------------------------------------------------------

    def decrypt(self, session_id: str, keys: SessionKeys, stored: bytes, now: int) -> LoadedSession | EndedSession:
        """Decrypt a stored record; `now` is in milliseconds since the epoch."""
        try:
            active, _, rest = stored.partition(b"|")
            plaintext, numbers = self._open(keys.record, rest)
            revision, idle, ends, epoch, global_epoch = numbers
            record, values = self.decode(plaintext), AccountValues(keys, now, epoch, global_epoch)
            live = LoadedSession(
                *(session_id, keys, record, plaintext, now, int(active), revision, idle, ends, epoch, global_epoch),
                account_values=values,
            )
        except (DecryptionFailed, msgspec.MsgspecError, ValueError):
            # Changed by an attacker who can write to Redis, of another format, or encrypted with a retired key: there
            # is no session, and an operator should look into it.
            events.publish(events.RecordUnreadable(key=keys.record))
            return EndedSession("unknown")
        # The TTL does this, unless it was removed from the key.
        return live if now < live.absolute_expires_at else EndedSession("absolute")

    def _open(self, key: str, sealed: bytes) -> tuple[bytes, tuple[int, ...]]:
        """Return the plaintext and the numbers of a record, as Redis has sent it with this request.

        An unchanged record is decrypted once. It is looked up by all its bytes, so what another request has stored
        is never mistaken for it; both epochs are still compared each time.
        """
        if len(sealed) > _OPENED_BYTES:
            return self._decrypted(key, sealed)
        return self._opened(key, sealed)

    def _decrypted(self, key: str, sealed: bytes) -> tuple[bytes, tuple[int, ...]]:
        *header, encrypted = sealed.split(b"|", 5)
        return self._keys.decrypt(encrypted, associated_data(key, header)), tuple(map(int, header))

    def encrypted(self, live: LoadedSession) -> bytes:
        """Encrypt the record; return the value to store, without the time of the last activity in front."""
        numbers = (live.revision, live.idle_timeout_ms, live.absolute_expires_at, live.epoch, live.global_epoch)
        header = [b"%d" % each for each in numbers]
        data = session_data.to_stored(live.record.data)  # a value that can't be stored fails here
        live.plaintext = self._encode(msgspec.structs.replace(live.record, data=data))
        encrypted = self._keys.encrypt(live.plaintext, associated_data(live.keys.record, header))
        return b"|".join((b"", *header, encrypted))

    # -- Redis's clock ---------------------------------------------------------------------------------------

    def time(self) -> int:
        """Return Redis's time, in milliseconds since the epoch."""
        return number(self._connection.run(scripts.NOW, (self._global_epoch,)))

    def now(self, keys: SessionKeys) -> int:
        """Return the time in milliseconds since the epoch, by Redis's clock as last read."""
        # Redis's clock decides when a session ends, but it is not asked on each request: for a minute, the local
        # clocks continue from its time. The monotonic clock alone won't do: it stands still while a machine sleeps,
        # and no session would be kept alive. The wall clock alone won't do either: administrators and NTP set it, and
        # all users would be signed out, or stay signed in. If the two disagree, Redis is asked.
        wall, steady = time.time(), time.monotonic()
        if steady >= self._ask_again or abs(wall - steady - self._steady) > _JUMP:
            return self._set_clock(number(self._connection.run(scripts.NOW, (keys.epoch,))))
        return int(wall * 1000 + self._ahead)

    def _set_clock(self, now: int) -> int:
        wall, steady = time.time(), time.monotonic()
        self._ahead, self._ask_again, self._steady = now - wall * 1000, steady + 60, wall - steady
        return now

    # -- Keys ------------------------------------------------------------------------------------------------

    def _keys_of(self, session_id: str) -> SessionKeys:
        return SessionKeys.at(self._prefix, session_id[:TAG]).sibling(digest_of(session_id))

    def account_keys(self, account: str) -> SessionKeys:
        """Return the Redis keys of an account: index, epoch and the keys of parts.

        The session key in the result is a placeholder that never exists in Redis.
        """
        return SessionKeys.at(self._prefix, account_tag(account))

    def keys_at(self, record_key: str) -> SessionKeys:
        """Return the keys of the session that the key of a record names."""
        base, _, digest = record_key.removeprefix(self._prefix).partition(":session:")
        return SessionKeys.at(self._prefix, base[1:-1]).sibling(digest)

    def pattern(self, name: str) -> str:
        """Return the SCAN pattern for all keys of a name, of any account."""
        prefix = re.sub(r"([][*?\\])", r"\\\1", self._prefix)  # it may contain wildcards of SCAN
        return f"{prefix}{{*}}:{name}"


def _idle_end(entry: bytes) -> int:
    """Return the idle end in an entry of the index; entries of earlier versions have none."""
    parts = entry.split(b"|")
    return int(parts[3]) if len(parts) == 5 and parts[3].isdigit() else 0


def _as_epoch(key: str, stored: Any) -> int:
    epoch = 0 if stored is None else number(stored, key)
    if epoch < 0:
        raise StoreUnavailable(f"{key} holds no epoch", retry_after=2)
    return epoch


def associated_data(key: str, header: Iterable[bytes]) -> bytes:
    """Return the associated data that ties the encrypted part of a record to its key, clocks and epochs: none can be
    exchanged for another record's.
    """
    return b"|".join((key.encode(), *header))
