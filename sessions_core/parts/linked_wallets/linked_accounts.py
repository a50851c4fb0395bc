"""Which accounts are one user: link, unlink, choose the primary one.

    {usr_…}:accounts   string  sealed: the accounts of a user, the primary one first
    {tag}:person       string  sealed: the user that an account points to; read with each request of its sessions
    linking:<tag>      string  there while an account is being linked or unlinked, for ten seconds at most

An account belongs to a user if both say so. To link, it is listed first and pointed last; to unlink, it is struck
off first. So each change holds from one write on, and a crash leaves at most a line in a record, or a link, that
means nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from ... import events
from ...errors import NotFound, StoreUnavailable
from ...sessions.repository import Records, account_tag
from ...settings import Settings
from ...sign_in.accounts import Account, stored
from ...sign_in.user import User, derived_user_id
from ...storage import scripts
from ...storage.connection import Link
from ...storage.encryption import KeyRing, Unsealable
from .errors import AccountInUse, AccountLast, AccountLinked, AccountLinkedElsewhere, AccountsTooMany
from .events import PrimaryChanged, WalletLinked, WalletUnlinked
from .user import AccountLink, LinkedAccounts, new_user_id

logger = logging.getLogger(__name__)

MOST = 8
"""How many accounts a user may have; each is looked at when the user is."""

_ATTEMPTS = 100  # each round at least one of the writers gets through
_HELD = 10  # seconds after which accounts are free again, should a process have died while it linked them
_WAIT = 3.0  # seconds for others to finish; nobody who still waits then has an account held


class AccountLinking:
    """Reads and changes who is linked with whom. All methods raise `StoreUnavailable` when Redis does not answer.

    `by` is the account whose session asks; it has signed for exactly this.
    """

    def __init__(self, link: Link, keys: KeyRing, records: Records, settings: Settings) -> None:
        self._link = link
        self._keys = keys
        self._records = records
        self._prefix = settings.redis_prefix
        self._decode = msgspec.msgpack.Decoder(LinkedAccounts).decode

    def account_link(self, account: Account | str) -> AccountLink:
        """Return the link of an account."""
        key = self._link_key(str(account))
        return self._records.open_pointer(key, self._link.call("GET", key))

    def user(self, account: Account, link: AccountLink | None = None) -> User:
        """Return the user behind an account; `link` is its own, if it has been read already.

        Two round trips for an account that is linked, none for one that never was.
        """
        link = self.account_link(account) if link is None else link
        if link.user:
            _, _, linked = self._read(link.user)
            if linked is not None and str(account) in linked.accounts:
                listed = self._linked_to(link.user, linked.accounts)
                # By the link that was given: the account was one of them when the request began.
                accounts = [each for each in linked.accounts if each in listed or each == str(account)]
                return User(link.user, tuple(map(stored, accounts)))
        return User(link.alone or derived_user_id(str(account)), (account,))

    def check_can_link(self, account: Account, user: User) -> None:
        """Refuse an account that can't become one more of this user's; what may be said of others comes later.

        Raises `AccountLinked` or `AccountsTooMany`.
        """
        if account in user.accounts:
            raise AccountLinked(str(account))
        if len(user.accounts) >= MOST:
            raise AccountsTooMany(len(user.accounts))

    def knows(self, account: Account, user: User) -> bool:
        """Whether an account is this user's, or was and is left pointing here by an unlinking cut short."""
        return account in user.accounts or self.account_link(account).user == user.id

    def link(self, account: Account, by: Account) -> User:
        """Make an account one more of the user behind `by`; both have signed. Return that user.

        The joining account's previous user id is retired. Raises what `check_can_link` raises, or
        `AccountLinkedElsewhere` for one that is linked with others of another user.
        """
        with self._lock(account, by):
            return self._link_held(account, by)

    def _link_held(self, account: Account, by: Account) -> User:
        before = self.user(account)
        user_id, linked = self._add(account, by)
        # The account that asks first: a user is made of it, and the other one comes to them. The last of these
        # writes links the two.
        for each in (by, account):
            if not self._link_to(str(each), user_id, linked.revision):
                self._remove(user_id, account, by)
                raise AccountLinkedElsewhere(str(each))
        user = self.user(account)
        if user.id != user_id or by not in user.accounts:
            raise StoreUnavailable("linked or unlinked from elsewhere at the same moment", retry_after=1)
        self._announce(user_id, linked)
        events.publish(WalletLinked(account=str(by), other=str(account), user=user.id, before=before.id))
        return user

    def unlink(self, account: Account, by: Account) -> None:
        """Take an account from the user behind `by`, and end all its sessions.

        It goes on alone, under an id that nobody has had. Raises `NotFound` for an account that is not this
        user's, `AccountLast` for the only one, `AccountInUse` for the one that asks.
        """
        with self._lock(account, by):
            self._unlink_held(account, by)

    def _unlink_held(self, account: Account, by: Account) -> None:
        for _ in range(_ATTEMPTS):
            user = self.user(by)
            if account not in user.accounts:
                if not self.knows(account, user):
                    raise NotFound("no account of this person")
                break  # a crash had cut an unlinking short, and this one completes it
            if len(user.accounts) == 1:
                raise AccountLast(str(account))
            if account == by:
                raise AccountInUse(str(account))
            if self._remove(user.id, account, by):
                break
        else:
            raise StoreUnavailable("the user kept changing", retry_after=1)
        self._records.revoke_account(str(account), "wallet_unlinked")
        if self._release(str(account), user.id):
            self._announce(user.id, self._read(user.id)[2] or LinkedAccounts())
            events.publish(WalletUnlinked(account=str(by), other=str(account), user=user.id))

    def set_primary(self, account: Account, by: Account) -> bool:
        """Make an account the primary one of the user behind `by`; return whether that changed anything.

        Raises `NotFound` for an account that is not this user's.
        """
        for _ in range(_ATTEMPTS):
            user = self.user(by)
            if account not in user.accounts:
                raise NotFound("no account of this person")
            if user.primary == account:
                return False
            key, sealed, linked = self._read(user.id)
            if linked is None or not {str(account), str(by)} <= set(linked.accounts):
                continue
            others = tuple(each for each in linked.accounts if each != str(account))
            after = LinkedAccounts(accounts=(str(account), *others), revision=linked.revision + 1)
            if self._swap(key, sealed, after):
                self._announce(user.id, after)
                events.publish(
                    PrimaryChanged(account=str(by), other=str(account), user=user.id, before=str(user.primary))
                )
                return True
        raise StoreUnavailable("the user kept changing", retry_after=1)

    def reencrypt(self) -> int:
        """Seal with the newest secret whatever an older one had sealed; return how many values. Without this, people
        would go with the secret that is dropped after a rotation.
        """
        count = 0
        for name in ("accounts", "person"):
            for key in self._link.scan(self._records.pattern(name)):
                sealed = self._link.call("GET", key) or b""
                newest = self._keys.renew(sealed, key.encode())
                if newest is not None:
                    count += self._link.run(scripts.SWAP, (key,), sealed, newest)
        return count

    @contextmanager
    def _lock(self, *accounts: Account) -> Iterator[None]:
        """Let nobody else link or unlink these accounts meanwhile; wait for those who are at it.

        Without this, two people who link each other at once would each point the other's account to themselves. All
        take accounts in the same order, so one of them gets both; the others find what was done.
        """
        began, held = time.monotonic(), []
        try:
            for account in sorted(set(map(str, accounts))):
                key = f"{self._prefix}linking:{account_tag(account)}"
                while self._link.call("SET", key, 1, "NX", "EX", _HELD) is None:
                    if time.monotonic() > began + _WAIT:
                        raise StoreUnavailable("an account is being linked or unlinked elsewhere", retry_after=_HELD)
                    time.sleep(0.01)
                held.append((key, time.monotonic()))
            yield
        finally:
            for key, since in held:
                if time.monotonic() < since + _HELD / 2:  # later, it may be somebody else's
                    with suppress(StoreUnavailable):
                        self._link.call("DEL", key)

    # -- The record of a user ------------------------------------------------------------------------------

    def _add(self, account: Account, by: Account) -> tuple[str, LinkedAccounts]:
        """List an account in the record of a user, which is made if there is none; return both."""
        for _ in range(_ATTEMPTS):
            user = self.user(by)
            self.check_can_link(account, user)
            if len(self.user(account).accounts) > 1:
                raise AccountLinkedElsewhere(str(account))
            user_id = user.id
            key, sealed, linked = self._read(user_id)
            if linked is not None and str(by) not in linked.accounts:
                # Unlinked at this moment, or a link of before was put back: that user is somebody else's now.
                user_id = new_user_id()
                key, sealed, linked = self._read(user_id)
            listed = linked.accounts if linked is not None else (str(by),)
            if len(listed) >= MOST:  # lines that mean nothing make room
                listed = tuple(map(str, user.accounts))
            others = tuple(each for each in listed if each != str(account))
            before = linked.revision if linked is not None else 0
            after = LinkedAccounts(accounts=(*others, str(account)), revision=before + 1)
            if self._swap(key, sealed, after):
                return user_id, after
        raise StoreUnavailable("the user kept changing", retry_after=1)

    def _remove(self, user_id: str, account: Account, by: Account) -> bool:
        """Take an account off the record of a user; return False if it or `by` is not on it any more."""
        for _ in range(_ATTEMPTS):
            key, sealed, linked = self._read(user_id)
            # Of two that unlink each other one stays, or the user would be nobody.
            if linked is None or not {str(account), str(by)} <= set(linked.accounts):
                return False
            left = tuple(each for each in linked.accounts if each != str(account))
            if self._swap(key, sealed, LinkedAccounts(accounts=left, revision=linked.revision + 1)):
                return True
        raise StoreUnavailable("the user kept changing", retry_after=1)

    def _read(self, user_id: str) -> tuple[str, bytes, LinkedAccounts | None]:
        key = f"{self._prefix}{{{user_id}}}:accounts"
        sealed = self._link.call("GET", key) or b""
        if not sealed:
            return key, sealed, None
        try:
            return key, sealed, self._decode(self._keys.open(sealed, key.encode()))
        except (Unsealable, msgspec.MsgspecError):
            # Its accounts are each alone until it can be read again: nobody is signed out, and nobody is taken for
            # somebody else.
            events.publish(events.RecordUnreadable(key=key))
            return key, sealed, None

    # -- The link of an account ---------------------------------------------------------------------------

    def _link_key(self, account: str) -> str:
        return self._records.place_of(account).pointer

    def _linked_to(self, user_id: str, accounts: Iterable[str]) -> set[str]:
        """Return those of the accounts whose link names this user."""
        keys = {account: self._link_key(account) for account in accounts}
        if self._link.is_cluster:  # they are on as many slots
            values = [self._link.call("GET", key) for key in keys.values()]
        else:
            values = self._link.call("MGET", *keys.values())
        return {
            account
            for (account, key), sealed in zip(keys.items(), values, strict=True)
            if self._records.open_pointer(key, sealed).user == user_id
        }

    def _link_to(self, account: str, user_id: str, revision: int) -> bool:
        """Point an account to a user; return False if it is linked with others of somebody else."""

        def claim(before: AccountLink) -> AccountLink | None:
            if before.user == user_id:
                return msgspec.structs.replace(before, revision=revision)
            if len(self.user(stored(account), before).accounts) > 1:
                return None
            return AccountLink(user=user_id, alone=new_user_id(), revision=revision)

        return self._change_link(account, claim)

    def _release(self, account: str, user_id: str) -> bool:
        """Point an account to nobody; return False if it no longer points to this user."""

        def let_go(before: AccountLink) -> AccountLink | None:
            return AccountLink(alone=before.alone) if before.user == user_id else None

        return self._change_link(account, let_go)

    def _change_link(self, account: str, change: Callable[[AccountLink], AccountLink | None]) -> bool:
        key = self._link_key(account)
        for _ in range(_ATTEMPTS):
            sealed = self._link.call("GET", key)
            after = change(self._records.open_pointer(key, sealed))
            if after is None:
                return False
            if self._swap(key, sealed or b"", after):
                return True
        raise StoreUnavailable("the link kept changing", retry_after=1)

    def _announce(self, user_id: str, linked: LinkedAccounts) -> None:
        """Have all living sessions of a user go on under new ids: what they are sessions of has changed."""
        try:
            for account in linked.accounts:
                self._change_link(
                    account,
                    lambda before: (
                        msgspec.structs.replace(before, revision=linked.revision)
                        if before.user == user_id and before.revision < linked.revision
                        else None
                    ),
                )
        except StoreUnavailable as error:
            # The change itself is done, and saying otherwise would have it done twice.
            logger.warning("sessions of a user keep their ids: %s", error)

    def _swap(self, key: str, before: bytes, after: LinkedAccounts | AccountLink) -> bool:
        sealed = self._keys.seal(msgspec.msgpack.encode(after), key.encode())
        return bool(self._link.run(scripts.SWAP, (key,), before, sealed) == 1)
