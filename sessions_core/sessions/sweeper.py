"""Goes through all sessions of all accounts, to list them and to repair what a crash left behind.

For commands; no request waits for this.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..settings import LONGEST
from ..storage import scripts
from ..storage.connection import RedisConnection
from ..storage.encryption import KeyRing
from ..storage.replies import items, number
from .record import EndedSession, LoadedSession, SessionKeys
from .repository import SessionRepository


class Sweeper:
    """Lists and repairs stored sessions; raises `StoreUnavailable` when Redis does not answer."""

    def __init__(self, connection: RedisConnection, keys: KeyRing, repository: SessionRepository) -> None:
        self._connection = connection
        self._keys = keys
        self._repository = repository

    def every(self) -> Iterator[LoadedSession]:
        """Go through all living sessions of all accounts, without their ids.

        One that moves to a new id meanwhile may come twice, or not at all.
        """
        for key in self._connection.scan(self._repository.pattern("session:*")):
            keys = self._repository.keys_at(key)
            found = self._repository.read(keys)
            if found.record is None or self._foreign(found.record):
                continue
            live = self._repository.decrypt("", keys, found.record, self._repository.now(keys))
            if isinstance(live, LoadedSession) and self._repository.ended_by_epoch(live, found) is None:
                yield live

    def count(self) -> int:
        """Return how many sessions are stored, including those of visitors for whom a view stored something.

        Nothing is decrypted, so it includes sessions that an epoch has ended and that have not expired yet.
        """
        return sum(1 for _ in self._connection.scan(self._repository.pattern("session:*")))

    def sweep(self) -> dict[str, int]:
        """Repair what a crash, a full disk or a manual change in Redis left behind; return the number of findings by
        kind.

        `dead`: records that a revocation or a clock had ended, deleted; `clock`: records that would never have
        expired; `lost`: records that were missing in the index of their account; `unreadable`: records that were
        changed, deleted; `foreign`: records encrypted with a secret that this process does not have, left to their
        clock; `resealed`: records that an older secret had encrypted; `entries`: of indexes, a day past their
        session.
        """
        found = dict.fromkeys(("dead", "clock", "lost", "unreadable", "foreign", "resealed", "entries"), 0)
        for key in self._connection.scan(self._repository.pattern("session:*")):
            for wrong in self._mend(self._repository.keys_at(key)):
                found[wrong] += 1
        for index in self._connection.scan(self._repository.pattern("index")):
            found["entries"] += number(self._connection.run(scripts.TIDY_INDEX, (index,)))
        for epoch in self._connection.scan(self._repository.pattern("epoch")):
            self._connection.run(
                scripts.ENSURE_TTL, (epoch,), scripts.EPOCH_SECONDS * 1000
            )  # from before they had a clock
        return found

    def _mend(self, keys: SessionKeys) -> Iterator[str]:
        found = self._repository.read(keys)
        stored = found.record
        if stored is None:
            return
        if self._foreign(stored):
            # Other processes may well know that secret: a sweep from a shell that lacks it must not sign users out.
            self._connection.run(scripts.ENSURE_TTL, (keys.record,), LONGEST * 1000)
            yield "foreign"
            return
        live = self._repository.decrypt("", keys, stored, now=0)  # Redis decides whether a clock has run out
        if isinstance(live, EndedSession):
            self._connection.call("DEL", keys.record)
            yield "unreadable"
            return
        arguments = (
            live.revision,
            keys.digest,
            live.record.handle,
            live.record.created_at,
            live.absolute_expires_at,
            live.idle_timeout_ms,
        )
        reason = "revoked" if self._repository.ended_by_epoch(live, found) == "revoked" else ""
        three = (keys.record, keys.entries, keys.epoch)
        wrong = [
            each.decode()
            for each in items(self._connection.run(scripts.REPAIR, three, *arguments, live.epoch, reason))
        ]
        yield from wrong
        if (
            "dead" not in wrong
            and not self._keys.is_newest(_ciphertext_of(stored))
            and self._repository.save(live) == "saved"
        ):
            yield "resealed"

    def _foreign(self, stored: bytes) -> bool:
        ciphertext = _ciphertext_of(stored)
        return bool(ciphertext) and not self._keys.is_ours(ciphertext)


def _ciphertext_of(stored: bytes) -> bytes:
    # The encrypted part of a record; empty if it is no record at all.
    parts = stored.split(b"|", 6)
    return parts[6] if len(parts) == 7 else b""
