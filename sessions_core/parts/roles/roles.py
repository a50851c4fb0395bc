"""The roles and verifications of accounts and the latest sign-ins, for administrators to see and change.

    {tag}:standing        string  encrypted: role and verification; read with each request of the account's sessions
    {directory}:decided   hash    tag -> encrypted account, of all accounts with a role or a verification
    {directory}:changed   zset    tag by the time of the last decision about such an account
    {directory}:seen      zset    tag by the time of the last sign-in, and
    {directory}:names     hash    tag -> encrypted account; both hold the latest ten thousand

Accounts are encrypted, so an attacker who reads Redis does not learn which accounts use the site.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ... import events
from ...errors import StoreUnavailable
from ...sessions.record import AccountValues, account_tag
from ...sessions.repository import SessionRepository
from ...settings import DAY, Settings
from ...sign_in.accounts import Account
from ...storage import scripts
from ...storage.connection import RedisConnection
from ...storage.encrypted_value import EncryptedValues
from ...storage.encryption import DecryptionFailed, KeyRing
from ...storage.replies import items, pairs
from .account_status import STATUS_KEY, UNKNOWN, StoredStatus
from .events import RoleChanged, VerificationChanged

logger = logging.getLogger(__name__)

_MOST_SEEN = 10_000
_HALF = 500  # fields of a hash that are read in one step, about
_FOLDER = Path(__file__).parent
_NOTE_SIGN_IN = scripts.load(_FOLDER / "note_sign_in.lua")
_NOTE_DECISION = scripts.load(_FOLDER / "note_decision.lua")
_LIST_DECIDED = scripts.load(_FOLDER / "list_decided.lua")
_PAGE = scripts.load(_FOLDER / "page.lua")
_EXISTS = scripts.Script("return redis.call('EXISTS', KEYS[1])")


@dataclass(frozen=True, slots=True)
class Member:
    """An account as administrators see it; `seen_at` is its last sign-in in milliseconds since the epoch, or 0."""

    account: str
    status: StoredStatus
    seen_at: int


@dataclass(frozen=True, slots=True)
class Directory:
    """A page of the accounts with a role or a verification, the latest decision first, and one of the latest
    sign-ins; with how many accounts there are in all. `now` is in milliseconds since the epoch.
    """

    now: int
    decided: list[Member]
    all_decided: int
    seen: list[Member]
    all_seen: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Ranges of both lists as they are stored: accounts, each with the time of its last sign-in (milliseconds since
    the epoch, or 0), or an empty account where one can't be decrypted. With how many accounts there are in all.
    """

    now: int
    decided: list[tuple[str, int]]
    all_decided: int
    seen: list[tuple[str, int]]
    all_seen: int


class AccountRoles:
    """Reads and changes role and verification of accounts.

    All methods raise `StoreUnavailable` when Redis does not answer.

    `by` is the account that decides, or empty for the command line; it ends up in the event.
    """

    def __init__(
        self, connection: RedisConnection, keys: KeyRing, repository: SessionRepository, settings: Settings
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._repository = repository
        self._values = EncryptedValues(connection, keys, StoredStatus, UNKNOWN)
        base = f"{settings.redis_prefix}{{directory}}:"
        self._decided, self._changed = f"{base}decided", f"{base}changed"
        self._seen, self._names = f"{base}seen", f"{base}names"

    def status(self, account: Account | str) -> StoredStatus:
        """Return role and verification of an account."""
        return self._values.read(self._key(account))

    def status_of(self, values: AccountValues) -> StoredStatus:
        """Return role and verification of an account whose values were read; none if that can't be decrypted."""
        return values.decoded(STATUS_KEY.name, self._values.decode)

    def knows(self, account: Account) -> bool:
        """Whether a known secret encrypted what is stored about an account; True also if nothing is stored."""
        stored = self._connection.call("GET", self._key(account))
        return stored is None or self._keys.is_ours(stored)

    def assign(self, account: Account, role: str, by: str = "") -> bool:
        """Give an account a role; return whether that changed anything."""
        before, after = self._change(account, role=role)
        if before.role == after.role:
            return False
        events.publish(RoleChanged(account=str(account), before=before.role, after=after.role, by=by))
        return True

    def verify(self, account: Account, professional_id: str, level: str, days: int, by: str = "") -> StoredStatus:
        """Verify an account as a professional for `days` from now; return what it has now."""
        until = self._repository.time() + days * DAY * 1000
        _, after = self._change(
            account, professional_id=professional_id, verification_level=level, verified_until=until
        )
        events.publish(VerificationChanged(account=str(account), level=level, until=until, by=by))
        return after

    def revoke_verification(self, account: Account, by: str = "") -> bool:
        """Take the verification of an account away; return whether it had one."""
        before, _ = self._change(account, professional_id="", verification_level="", verified_until=0)
        if not before.verification_level:
            return False
        events.publish(VerificationChanged(account=str(account), level="", until=0, by=by))
        return True

    def note_sign_in(self, account: str) -> None:
        """Note that an account signed in. A list that lacks one is no reason to refuse the sign-in."""
        tag = account_tag(account)
        try:
            self._connection.run(_NOTE_SIGN_IN, (self._seen, self._names), tag, self._encrypt(account), _MOST_SEEN)
        except StoreUnavailable as error:
            logger.warning("a sign-in could not be noted for administrators: %s", error)

    def decided(self) -> list[Member]:
        """Return every account with a role or a verification."""
        found: dict[str, Member] = {}  # HSCAN may give a field twice
        for fields in self._in_steps(self._decided):
            accounts = [self._decrypt(encrypted) for encrypted in fields.values()]
            members = self.members(zip(accounts, self._seen_at(*fields), strict=True))
            found |= {each.account: each for each in members if each.status != UNKNOWN}
        return list(found.values())

    def seen(self, offset: int = 0, limit: int = 50) -> list[Member]:
        """Return the accounts that signed in last, newest first."""
        return self.page(limit, seen_from=offset).seen

    def page(self, size: int, decided_from: int = 0, seen_from: int = 0) -> Directory:
        """Return `size` accounts of each list from these ranks on, in two round trips; on a Cluster in one more for
        each further master.

        An account whose role was taken back is left out, so a page may have fewer.
        """
        listed = self.listed((decided_from, size), (seen_from, size))
        members = self.members([*listed.decided, *listed.seen])
        half = sum(bool(account) for account, _ in listed.decided)
        decided = [each for each in members[:half] if each.status != UNKNOWN]
        return Directory(listed.now, decided, listed.all_decided, members[half:], listed.all_seen)

    def listed(self, decided: tuple[int, int], seen: tuple[int, int] = (0, 0)) -> Listed:
        """Return ranges of the lists of decisions and of sign-ins, the latest first: each is the rank that it starts
        from, and how many accounts it has. One round trip.
        """
        keys = (self._decided, self._changed, self._seen, self._names)
        found = items(self._connection.run(_PAGE, keys, *decided, *seen), 6)
        if found[2] > found[1]:
            self._connection.run(_LIST_DECIDED, (self._decided, self._changed))
            found = items(self._connection.run(_PAGE, keys, *decided, *seen), 6)
        now, all_decided, _, all_seen, *ranges = found
        accounts = [
            [(self._decrypt(encrypted), int(float(seen_at))) for encrypted, seen_at in pairs(each)] for each in ranges
        ]
        return Listed(now, accounts[0], all_decided, accounts[1], all_seen)

    def known(self, accounts: Sequence[str]) -> list[Member]:
        """Return those of these accounts that have a role, a verification, one of the latest sign-ins, or a session
        that is alive or ended less than a day ago. Three round trips.
        """
        account_keys = [self._repository.account_keys(account) for account in accounts]
        indexed = self._connection.run_each(_EXISTS, [((each.entries,), ()) for each in account_keys])
        seen_at = self._seen_at(*(each.tag for each in account_keys))
        members = self.members(zip(accounts, seen_at, strict=True))
        found = zip(members, indexed, strict=True)
        return [each for each, has_index in found if has_index or each.seen_at or each.status != UNKNOWN]

    def reencrypt(self) -> int:
        """Encrypt with the newest secret whatever an older one had encrypted; return how many values. Without this,
        roles would go with the secret that is dropped after a rotation.
        """
        count = 0
        for key in (self._decided, self._names):
            for fields in self._in_steps(key):
                accounts = {tag: self._decrypt(encrypted) for tag, encrypted in fields.items()}
                stale = [tag for tag in fields if accounts[tag] and not self._keys.is_newest(fields[tag])]
                swaps = [((key,), (tag, fields[tag], self._encrypt(accounts[tag]))) for tag in stale]
                count += sum(self._connection.run_each(scripts.COMPARE_AND_SWAP_FIELD, swaps))
                if key == self._decided:
                    count += self._reencrypt([account for account in accounts.values() if account])
        return count

    def _in_steps(self, key: str) -> Iterator[dict[bytes, bytes]]:
        """Go through the fields of a hash, some hundreds at a time; a field may come twice."""
        cursor = 0
        while True:
            after, fields = items(self._connection.call("HSCAN", key, cursor, "COUNT", _HALF), 2)
            found, cursor = dict(pairs(fields)), int(after)
            if found:
                yield found
            if not cursor:
                return

    def members(self, listed: Iterable[tuple[str, int]]) -> list[Member]:
        """Return accounts, each given with the time of its last sign-in, with their roles and verifications. One
        round trip. Empty accounts, which could not be decrypted, are left out.
        """
        read = [(account, seen_at) for account, seen_at in listed if account]
        keys = [self._key(account) for account, _ in read]
        return [
            Member(account, self._values.decode(key, stored), seen_at)
            for (account, seen_at), key, stored in zip(read, keys, self._connection.values(*keys), strict=True)
        ]

    def _seen_at(self, *tags: str | bytes) -> list[int]:
        scores = items(self._connection.call("ZMSCORE", self._seen, *tags), len(tags))
        return [int(float(score or 0)) for score in scores]

    def _change(self, account: Account, **fields: str | int) -> tuple[StoredStatus, StoredStatus]:
        text = str(account)
        # In the list first: a role that no list shows could not be found to be taken away.
        self._connection.run(_NOTE_DECISION, (self._decided, self._changed), account_tag(text), self._encrypt(text))
        return self._replace(text, **fields)

    def _replace(self, account: str, **fields: str | int) -> tuple[StoredStatus, StoredStatus]:
        # If two administrators decide at once, neither undoes the other unseen: the later change builds on the
        # earlier.
        before, after = self._values.change(
            self._key(account), lambda before: msgspec.structs.replace(before, **fields)
        )
        return before, after or before

    def _reencrypt(self, accounts: list[str]) -> int:
        stored = zip(accounts, self._connection.values(*map(self._key, accounts)), strict=True)
        # One that we can't open would be replaced by the ordinary one.
        stale = [account for account, value in stored if value and self._is_stale(value)]
        for account in stale:
            self._replace(account)
        return len(stale)

    def _is_stale(self, stored: bytes) -> bool:
        return self._keys.is_ours(stored) and not self._keys.is_newest(stored)

    def _key(self, account: Account | str) -> str:
        return self._repository.account_keys(str(account)).account_key(STATUS_KEY.name)

    def _encrypt(self, account: str) -> bytes:
        return self._keys.encrypt(account.encode(), self._decided.encode())

    def _decrypt(self, encrypted: bytes | None) -> str:
        try:
            return self._keys.decrypt(encrypted or b"", self._decided.encode()).decode()
        except DecryptionFailed:
            logger.warning("an entry of the list of accounts can't be opened")
            return ""
