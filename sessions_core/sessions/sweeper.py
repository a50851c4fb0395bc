"""Goes through all sessions of all accounts: to list them, and to put right what a crash left behind.

For commands; no request waits for this.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..settings import LONGEST
from ..storage import scripts
from ..storage.connection import Link
from ..storage.encryption import KeyRing
from ..storage.replies import items, number
from .repository import Ended, Live, Place, Records


class Janitor:
    """Lists and mends what is stored; raises `StoreUnavailable` when Redis does not answer."""

    def __init__(self, link: Link, keys: KeyRing, records: Records) -> None:
        self._link = link
        self._keys = keys
        self._records = records

    def every(self) -> Iterator[Live]:
        """Go through all living sessions of all accounts, without their ids.

        One that moves to a new id meanwhile may come twice, or not at all.
        """
        for key in self._link.scan(self._records.pattern("session:*")):
            place = self._records.place_at(key)
            stored, epoch, site, *_ = self._records.read(place)
            if stored is None or self._foreign(stored):
                continue
            live = self._records.open("", place, stored, self._records.now(place))
            if isinstance(live, Live) and self._records.ended_by_epoch(live, epoch, site) is None:
                yield live

    def count(self) -> int:
        """Return how many sessions are stored, those of visitors for whom a view stored something included.

        Nothing is opened: what an epoch has ended and no clock has removed yet counts too.
        """
        return sum(1 for _ in self._link.scan(self._records.pattern("session:*")))

    def sweep(self) -> dict[str, int]:
        """Put right what a crash, a full disk or a hand in the database left behind; return what was found, counted.

        `dead`: records that a revocation or a clock had ended, deleted; `clock`: records that would never have
        expired; `lost`: records that were missing in the index of their account; `unreadable`: records that somebody
        changed, deleted; `foreign`: records sealed with a secret that is not ours, left to their clock; `resealed`:
        records that an older secret had sealed; `entries`: of indexes, a day past their session; `shares`: of
        pre-generated wallets, that an older secret had sealed: their keys would be lost with that secret.
        """
        found = dict.fromkeys(("dead", "clock", "lost", "unreadable", "foreign", "resealed", "entries", "shares"), 0)
        for key in self._link.scan(self._records.pattern("session:*")):
            for wrong in self._mend(self._records.place_at(key)):
                found[wrong] += 1
        for index in self._link.scan(self._records.pattern("index")):
            found["entries"] += number(self._link.run(scripts.TIDY_INDEX, (index,)))
        for epoch in self._link.scan(self._records.pattern("epoch")):
            self._link.run(scripts.ENSURE_TTL, (epoch,), scripts.EPOCH_SECONDS * 1000)  # from before they had a clock
        for share in self._link.scan(self._records.pattern("share")):
            found["shares"] += self._reseal(share)
        return found

    def _mend(self, place: Place) -> Iterator[str]:
        stored, epoch, site, *_ = self._records.read(place)
        if stored is None:
            return
        if self._foreign(stored):
            # Other processes may well know that secret: a sweep from a shell that lacks it must sign nobody out.
            self._link.run(scripts.ENSURE_TTL, (place.record,), LONGEST * 1000)
            yield "foreign"
            return
        live = self._records.open("", place, stored, now=0)  # whether a clock has run out is for Redis to say
        if isinstance(live, Ended):
            self._link.call("DEL", place.record)
            yield "unreadable"
            return
        arguments = (live.revision, place.digest, live.record.handle, live.record.created_at, live.ends, live.idle)
        reason = "revoked" if self._records.ended_by_epoch(live, epoch, site) == "revoked" else ""
        keys = (place.record, place.entries, place.epoch)
        wrong = [
            each.decode() for each in items(self._link.run(scripts.REPAIR, keys, *arguments, live.epoch, reason))
        ]
        yield from wrong
        if "dead" not in wrong and not self._keys.is_newest(_seal_of(stored)) and self._records.save(live) == "saved":
            yield "resealed"

    def _reseal(self, key: str) -> int:
        sealed = self._link.call("GET", key) or b""
        newest = self._keys.renew(sealed, key.encode())
        # What somebody changed is left to its clock.
        return 0 if newest is None else number(self._link.run(scripts.COMPARE_AND_SWAP, (key,), sealed, newest))

    def _foreign(self, stored: bytes) -> bool:
        seal = _seal_of(stored)
        return bool(seal) and not self._keys.knows(seal)


def _seal_of(stored: bytes) -> bytes:
    # The sealed part of a record; empty if it is no record at all.
    parts = stored.split(b"|", 6)
    return parts[6] if len(parts) == 7 else b""
