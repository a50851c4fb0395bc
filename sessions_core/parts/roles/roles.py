"""The roles and verifications of accounts and the latest sign-ins, for administrators to see and change.

    {tag}:standing        string  encrypted: role and verification; read with each request of the account's sessions
    {directory}:decided   hash    tag -> encrypted account, of all accounts with a role or a verification
    {directory}:seen      zset    tag by the time of the last sign-in, and
    {directory}:names     hash    tag -> encrypted account; both hold the latest ten thousand

Accounts are encrypted, so an attacker who reads Redis does not learn which accounts use the site.
"""

from __future__ import annotations

import logging
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
from ...storage.replies import items
from .account_status import STATUS_KEY, UNKNOWN, StoredStatus
from .events import RoleChanged, VerificationChanged

logger = logging.getLogger(__name__)

_MOST_SEEN = 10_000
_NOTE_SIGN_IN = scripts.load(Path(__file__).with_name("note_sign_in.lua"))


@dataclass(frozen=True, slots=True)
class Member:
    """An account as administrators see it; `seen_at` is its last sign-in in milliseconds since the epoch, or 0."""

    account: str
    status: StoredStatus
    seen_at: int


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
        self._decided, self._seen, self._names = f"{base}decided", f"{base}seen", f"{base}names"

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
        values = (encrypted for _, encrypted in self._connection.fields(self._decided))
        members = [self._member(account) for account in map(self._decrypt, values) if account]
        return [each for each in members if each.status != StoredStatus()]

    def seen(self, offset: int = 0, limit: int = 50) -> list[Member]:
        """Return the accounts that signed in last, newest first."""
        tags = items(self._connection.call("ZREVRANGE", self._seen, offset, offset + limit - 1))
        names = items(self._connection.call("HMGET", self._names, *tags), len(tags)) if tags else []
        return [self._member(account) for account in map(self._decrypt, names) if account]

    def reencrypt(self) -> int:
        """Encrypt with the newest secret whatever an older one had encrypted; return how many values. Without this,
        roles would go with the secret that is dropped after a rotation.
        """
        count = 0
        for key in (self._decided, self._names):
            for tag, encrypted in self._connection.fields(key):
                account = self._decrypt(encrypted)
                if account and not self._keys.is_newest(encrypted):
                    count += self._connection.run(
                        scripts.COMPARE_AND_SWAP_FIELD, (key,), tag, encrypted, self._encrypt(account)
                    )
                if account and key == self._decided:
                    count += self._reencrypt(account)
        return count

    def _member(self, account: str) -> Member:
        score = self._connection.call("ZSCORE", self._seen, account_tag(account))
        return Member(account, self.status(account), int(float(score or 0)))

    def _change(self, account: Account, **fields: str | int) -> tuple[StoredStatus, StoredStatus]:
        text = str(account)
        # In the list first: a role that no list shows could not be found to be taken away.
        self._connection.call("HSET", self._decided, account_tag(text), self._encrypt(text))
        return self._replace(text, **fields)

    def _replace(self, account: str, **fields: str | int) -> tuple[StoredStatus, StoredStatus]:
        # If two administrators decide at once, neither undoes the other unseen: the later change builds on the
        # earlier.
        before, after = self._values.change(
            self._key(account), lambda before: msgspec.structs.replace(before, **fields)
        )
        return before, after or before

    def _reencrypt(self, account: str) -> bool:
        stored = self._connection.call("GET", self._key(account))
        if stored is None or self._keys.is_newest(stored) or not self._keys.is_ours(stored):
            return False  # one that we can't open would be replaced by the ordinary one
        self._replace(account)
        return True

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
