"""Goes through all sessions of all accounts, to list them and to repair what a crash left behind.

For commands; no request waits for this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..settings import LONGEST
from ..storage import scripts
from ..storage.connection import Place, RedisConnection
from ..storage.encryption import KeyRing
from ..storage.replies import items, number
from .record import EndedSession, LoadedSession, SessionKeys
from .repository import Found, SessionRepository

KINDS = ("dead", "clock", "lost", "unreadable", "foreign", "resealed", "entries")
_Read = LoadedSession | str


class Sweeper:
    """Lists and repairs stored sessions; raises `StoreUnavailable` when Redis does not answer.

    It reads a page of sessions in one round trip to each master, and keeps one page in memory. `unread` counts the
    records that `every` could not decrypt: `foreign` and `unreadable`, as `sweep` has them.
    """

    def __init__(self, connection: RedisConnection, keys: KeyRing, repository: SessionRepository) -> None:
        self._connection = connection
        self._keys = keys
        self._repository = repository
        self.unread = Counter[str]()

    def every(self) -> Iterator[LoadedSession]:
        """Go through all living sessions of all accounts, without their ids.

        One that moves to a new id meanwhile may come twice, or not at all.
        """
        for page, _ in self._connection.pages(self._repository.pattern("session:*")):
            yield from self.living(page)

    def living(self, record_keys: Sequence[str]) -> Iterator[LoadedSession]:
        """Read the records at these keys in one round trip to each master; give the living sessions."""
        sessions = [self._repository.keys_at(key) for key in record_keys]
        now = self._repository.now(sessions[0]) if sessions else 0
        for _, found, live in self._read(sessions, now):
            if isinstance(live, str):
                self.unread[live] += 1
            elif self._repository.ended_by_epoch(live, found) is None:
                yield live

    def sweep(self) -> dict[str, int]:
        """Repair what a crash, a full disk or a manual change in Redis left behind; return the number of findings by
        kind.

        `dead`: records that a revocation or a clock had ended, deleted; `clock`: records that would never have
        expired; `lost`: records that were missing in the index of their account; `unreadable`: records that were
        changed, deleted; `foreign`: records encrypted with a secret that this process does not have, left to their
        clock; `resealed`: records that an older secret had encrypted; `entries`: of indexes, a day past their
        session.
        """
        found = Counter[str]()
        for _ in self.steps(found):
            pass
        return {kind: found[kind] for kind in KINDS}

    def steps(self, found: Counter[str], since: Place = (0, 0)) -> Iterator[tuple[int, Place]]:
        """Do what `sweep` does, page by page; add the findings to `found`.

        Each page gives the number of its keys, and the place after it, where a later sweep can go on (`since`). To
        begin again does no harm.
        """
        for page, place in self._connection.pages(self._repository.pattern("*"), since):
            self._repair([self._repository.keys_at(key) for key in page if "}:session:" in key], found)
            indexes = [((key,), ()) for key in page if key.endswith("}:index")]
            found["entries"] += sum(map(number, self._connection.run_each(scripts.TIDY_INDEX, indexes)))
            epochs = [key for key in page if key.endswith("}:epoch")]
            self._ensure_ttl(epochs, scripts.EPOCH_SECONDS)  # some are from before they had a clock
            yield len(page), place

    def _repair(self, sessions: Sequence[SessionKeys], found: Counter[str]) -> None:
        foreign, repairs, lives = list[str](), list[tuple[tuple[str, ...], tuple[str | int, ...]]](), []
        for keys, stored, live in self._read(sessions, now=0):  # Redis decides whether a clock has run out
            if live == "foreign":
                # Other processes may know that secret: a sweep from a shell that lacks it must not sign users out.
                foreign.append(keys.record)
            elif isinstance(live, str):
                self._connection.call("DEL", keys.record)
                found[live] += 1
            else:
                lives.append((live, self._keys.is_newest(_ciphertext_of(stored.record))))
                record, ended = live.record, self._repository.ended_by_epoch(live, stored)
                times = (record.created_at, live.absolute_expires_at, live.idle_timeout_ms, live.epoch)
                arguments = (live.revision, keys.digest, record.handle, *times, ended if ended == "revoked" else "")
                repairs.append(((keys.record, keys.entries, keys.epoch), arguments))
        found["foreign"] += len(foreign)
        self._ensure_ttl(foreign, LONGEST)
        stale = []
        for (live, newest), wrong in zip(lives, self._connection.run_each(scripts.REPAIR, repairs), strict=True):
            kinds = [each.decode() for each in items(wrong)]
            found.update(kinds)
            if "dead" not in kinds and not newest:
                stale.append(live)
        found["resealed"] += self._repository.save_each(stale)

    def _read(self, sessions: Sequence[SessionKeys], now: int) -> Iterator[tuple[SessionKeys, Found, _Read]]:
        """Read sessions; for a record that can't be decrypted give the reason. What has ended is left out."""
        for keys, found in zip(sessions, self._repository.read_each(sessions) if sessions else (), strict=True):
            ciphertext = _ciphertext_of(found.record)
            if ciphertext and not self._keys.is_ours(ciphertext):
                yield keys, found, "foreign"
            elif found.record is not None:
                live = self._repository.decrypt("", keys, found.record, now)
                if live == EndedSession("unknown"):
                    yield keys, found, "unreadable"
                elif isinstance(live, LoadedSession):
                    yield keys, found, live

    def _ensure_ttl(self, keys: Sequence[str], seconds: int) -> None:
        self._connection.run_each(scripts.ENSURE_TTL, [((key,), (seconds * 1000,)) for key in keys])


def _ciphertext_of(stored: bytes | None) -> bytes:
    # The encrypted part of a record; empty if it is no record at all.
    parts = (stored or b"").split(b"|", 6)
    return parts[6] if len(parts) == 7 else b""
