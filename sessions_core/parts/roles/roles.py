"""Who has which role, who is verified, and who signed in lately: what administrators see and change.

    {tag}:standing        string  sealed: role and verification of one account; read with each request of its sessions
    {directory}:decided   hash    tag -> sealed account, of all accounts whose standing somebody decided
    {directory}:seen      zset    tag by the time of the last sign-in, and
    {directory}:names     hash    tag -> sealed account; both hold the latest ten thousand

Accounts are sealed: who reads Redis does not learn who uses the site.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ... import events
from ...errors import StoreUnavailable
from ...sessions.repository import Records, account_tag
from ...settings import DAY, Settings
from ...sign_in.accounts import Account
from ...storage import scripts
from ...storage.connection import Link
from ...storage.encryption import KeyRing, Unsealable
from ...storage.replies import items, pairs
from .account_status import MEMBER, Standing

logger = logging.getLogger(__name__)

_MOST_SEEN = 10_000
_NOTE_SIGN_IN = scripts.load(Path(__file__).with_name("note_sign_in.lua"))


@dataclass(frozen=True, slots=True)
class Member:
    """An account as administrators see it; `seen_at` is its last sign-in in milliseconds since the epoch, or 0."""

    account: str
    standing: Standing
    seen_at: int


class Directory:
    """Reads and changes standings. All methods raise `StoreUnavailable` when Redis does not answer.

    `by` is the account that decides, or empty for the command line; it ends up in the event.
    """

    def __init__(self, link: Link, keys: KeyRing, records: Records, settings: Settings) -> None:
        self._link = link
        self._keys = keys
        self._records = records
        base = f"{settings.redis_prefix}{{directory}}:"
        self._decided, self._seen, self._names = f"{base}decided", f"{base}seen", f"{base}names"

    def standing(self, account: Account | str) -> Standing:
        """Return the standing of an account."""
        key = self._records.place_of(str(account)).standing
        return self._records.open_standing(key, self._link.call("GET", key))

    def knows(self, account: Account) -> bool:
        """Whether a secret of ours sealed the standing of an account; True also if it has none."""
        stored = self._link.call("GET", self._records.place_of(str(account)).standing)
        return stored is None or self._keys.knows(stored)

    def appoint(self, account: Account, role: str, by: str = "") -> bool:
        """Give an account a role; return whether that changed anything."""
        before, after = self._change(account, role=role)
        if before.role == after.role:
            return False
        events.publish(events.RoleChanged(account=str(account), before=before.role, after=after.role, by=by))
        return True

    def dismiss(self, account: Account, by: str = "") -> bool:
        """Make an account an ordinary member again; return whether that changed anything."""
        return self.appoint(account, MEMBER, by)

    def verify(self, account: Account, professional_id: str, level: str, days: int, by: str = "") -> Standing:
        """Verify an account as a professional for `days` from now; return its standing."""
        until = self._records.time() + days * DAY * 1000
        _, after = self._change(
            account, professional_id=professional_id, verification_level=level, verified_until=until
        )
        events.publish(events.VerificationChanged(account=str(account), level=level, until=until, by=by))
        return after

    def withdraw(self, account: Account, by: str = "") -> bool:
        """Take the verification of an account away; return whether it had one."""
        before, _ = self._change(account, professional_id="", verification_level="", verified_until=0)
        if not before.verification_level:
            return False
        events.publish(events.VerificationChanged(account=str(account), level="", until=0, by=by))
        return True

    def saw(self, account: str) -> None:
        """Note that an account signed in. A list that lacks one is no reason to refuse the sign-in."""
        tag = account_tag(account)
        try:
            self._link.run(_NOTE_SIGN_IN, (self._seen, self._names), tag, self._sealed(account), _MOST_SEEN)
        except StoreUnavailable as error:
            logger.warning("the directory could not note a sign-in: %s", error)

    def decided(self) -> list[Member]:
        """Return every account whose standing is not the ordinary one."""
        values = (sealed for _, sealed in pairs(self._link.call("HGETALL", self._decided)))
        members = [self._member(account) for account in map(self._opened, values) if account]
        return [each for each in members if each.standing != Standing()]

    def seen(self, offset: int = 0, limit: int = 50) -> list[Member]:
        """Return the accounts that signed in last, newest first."""
        tags = items(self._link.call("ZREVRANGE", self._seen, offset, offset + limit - 1))
        names = items(self._link.call("HMGET", self._names, *tags), len(tags)) if tags else []
        return [self._member(account) for account in map(self._opened, names) if account]

    def reseal(self) -> int:
        """Seal with the newest secret whatever an older one had sealed; return how many values. Without this, roles
        would go with the secret that is dropped after a rotation.
        """
        count = 0
        for key in (self._decided, self._names):
            for tag, sealed in pairs(self._link.call("HGETALL", key)):
                account = self._opened(sealed)
                if account and not self._keys.is_newest(sealed):
                    count += self._link.run(
                        scripts.COMPARE_AND_SWAP_FIELD, (key,), tag, sealed, self._sealed(account)
                    )
                if account and key == self._decided:
                    count += self._reseal(account)
        return count

    def _member(self, account: str) -> Member:
        score = self._link.call("ZSCORE", self._seen, account_tag(account))
        return Member(account, self.standing(account), int(float(score or 0)))

    def _change(self, account: Account, **fields: str | int) -> tuple[Standing, Standing]:
        text = str(account)
        # In the list first: a standing that no list shows could not be found to be taken away.
        self._link.call("HSET", self._decided, account_tag(text), self._sealed(text))
        return self._replace(text, **fields)

    def _replace(self, account: str, **fields: str | int) -> tuple[Standing, Standing]:
        # Of two administrators who decide at once neither undoes the other unseen: the later sees the earlier.
        key = self._records.place_of(account).standing
        for _ in range(100):
            stored = self._link.call("GET", key)
            before = self._records.open_standing(key, stored)
            after = msgspec.structs.replace(before, **fields)
            sealed = self._keys.seal(msgspec.msgpack.encode(after), key.encode())
            if self._link.run(scripts.COMPARE_AND_SWAP, (key,), stored or b"", sealed) == 1:
                return before, after
        raise StoreUnavailable("the standing kept changing", retry_after=1)

    def _reseal(self, account: str) -> bool:
        stored = self._link.call("GET", self._records.place_of(account).standing)
        if stored is None or self._keys.is_newest(stored) or not self._keys.knows(stored):
            return False  # one that we can't open would be replaced by the ordinary one
        self._replace(account)
        return True

    def _sealed(self, account: str) -> bytes:
        return self._keys.seal(account.encode(), self._decided.encode())

    def _opened(self, sealed: bytes | None) -> str:
        try:
            return self._keys.open(sealed or b"", self._decided.encode()).decode()
        except Unsealable:
            logger.warning("an entry of the directory can't be opened")
            return ""
