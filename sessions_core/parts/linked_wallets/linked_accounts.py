"""Links accounts to one user, unlinks them, and sets the primary one.

    {usr_…}:accounts   string  encrypted: the accounts of a user, the primary one first
    {tag}:person       string  encrypted: the user that an account points to; read with each request of its sessions
    linking:<tag>      string  there while an account is being linked or unlinked, for ten seconds at most

An account belongs to a user if both say so. To link, it is listed first and pointed last; to unlink, it is struck off
first. So each change takes effect with one write, and a crash leaves at most a list entry or a link without effect.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from ... import events
from ...errors import NotFound, StoreUnavailable
from ...sessions.lifecycle import Lifecycle
from ...sessions.record import AccountValues, account_tag
from ...sessions.repository import SessionRepository
from ...settings import Settings
from ...sign_in.accounts import Account, stored
from ...sign_in.user import User, derived_user_id, user_id_of
from ...storage.connection import RedisConnection
from ...storage.encrypted_value import EncryptedValues, attempts, reencrypt
from ...storage.encryption import KeyRing
from .errors import AccountInUse, AccountLast, AccountLinked, AccountLinkedElsewhere, AccountsTooMany
from .events import PrimaryChanged, WalletLinked, WalletUnlinked
from .user import LINK_KEY, UNLINKED, UNLINKED_REASON, AccountLink, LinkedAccounts, new_user_id

logger = logging.getLogger(__name__)

MOST = 8
"""How many accounts a user may have; each is looked at when the user is."""

_HELD = 10  # seconds after which accounts are free again, should a process have died while it linked them
_WAIT = 3.0  # seconds to wait for other requests; one that still waits then holds no lock


class AccountLinking:
    """Reads and changes which accounts are linked. All methods raise `StoreUnavailable` when Redis does not answer.

    `by` is the account whose session asks; it has signed for exactly this.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: KeyRing,
        repository: SessionRepository,
        lifecycle: Lifecycle,
        settings: Settings,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._repository = repository
        self._lifecycle = lifecycle
        self._prefix = settings.redis_prefix
        # Accounts in a list that can't be read are each alone until it can be read again: no user is signed out, and
        # none is taken for another.
        self._linked = EncryptedValues(connection, keys, LinkedAccounts, LinkedAccounts())
        # What can't be read leads to no user. Its account then goes by an id that it never had: its first one may
        # be that of a user who unlinked it.
        self._links = EncryptedValues(
            connection,
            keys,
            AccountLink,
            UNLINKED,
            lambda key, stored: AccountLink(alone=user_id_of(key.encode() + stored)),
        )

    def account_link(self, account: Account | str) -> AccountLink:
        """Return the link of an account."""
        return self._links.read(self._link_key(str(account)))

    def link_in(self, values: AccountValues) -> AccountLink:
        """Return the link of an account whose values were read."""
        return values.decoded(LINK_KEY.name, self._links.decode)

    def user(self, account: Account, link: AccountLink | None = None) -> User:
        """Return the user behind an account; `link` is its own, if it has been read already.

        Two round trips for an account that is linked, none for one that never was.
        """
        link = self.account_link(account) if link is None else link
        if link.user:
            linked = self._linked.read(self._linked_key(link.user))
            if str(account) in linked.accounts:
                listed = self._linked_to(link.user, linked.accounts)
                # By the link that was given: the account was one of them when the request began.
                accounts = [each for each in linked.accounts if each in listed or each == str(account)]
                return User(link.user, tuple(map(stored, accounts)))
        return User(link.alone or derived_user_id(str(account)), (account,))

    def check_can_link(self, account: Account, user: User) -> None:
        """Refuse an account that can't be linked to this user; checks that reveal other users come later.

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
        """Link an account to the user behind `by`; both have signed. Return that user.

        The joining account's previous user id is retired. Raises what `check_can_link` raises, or
        `AccountLinkedElsewhere` for one that is linked with others of another user.
        """
        with self._lock(account, by):
            return self._link_held(account, by)

    def _link_held(self, account: Account, by: Account) -> User:
        before = self.user(account)
        user_id, linked = self._add(account, by)
        # The asking account first, since it becomes the user that the other one joins. The last of these writes links
        # the two.
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

        It goes on alone, under a new user id. Raises `NotFound` for an account that is not this user's, `AccountLast`
        for the only one, `AccountInUse` for the one that asks.
        """
        with self._lock(account, by):
            self._unlink_held(account, by)

    def _unlink_held(self, account: Account, by: Account) -> None:
        for _ in attempts("the user"):
            user = self.user(by)
            if account not in user.accounts:
                if not self.knows(account, user):
                    raise NotFound("no account of this user")
                break  # a crash had cut an unlinking short, and this one completes it
            if len(user.accounts) == 1:
                raise AccountLast(str(account))
            if account == by:
                raise AccountInUse(str(account))
            if self._remove(user.id, account, by):
                break
        self._lifecycle.revoke_account(account, UNLINKED_REASON.name, publish=False)
        if self._release(str(account), user.id):
            self._announce(user.id, self._linked.read(self._linked_key(user.id)))
            events.publish(WalletUnlinked(account=str(by), other=str(account), user=user.id))

    def set_primary(self, account: Account, by: Account) -> bool:
        """Make an account the primary one of the user behind `by`; return whether that changed anything.

        Raises `NotFound` for an account that is not this user's.
        """
        for _ in attempts("the user"):
            user = self.user(by)
            if account not in user.accounts:
                raise NotFound("no account of this user")
            if user.primary == account:
                return False
            after = self._change_linked(
                user.id,
                lambda accounts: (str(account), *_without(accounts, account)) if str(account) in accounts else None,
                by,
            )
            if after is not None:
                self._announce(user.id, after)
                events.publish(
                    PrimaryChanged(account=str(by), other=str(account), user=user.id, before=str(user.primary))
                )
                return True
        raise AssertionError  # `attempts` has raised

    def reencrypt(self) -> int:
        """Encrypt with the newest secret whatever an older one had encrypted; return how many values. Without this,
        the links would be lost with the secret that is dropped after a rotation.
        """
        patterns = map(self._repository.pattern, ("accounts", LINK_KEY.name))
        return sum(reencrypt(self._connection, self._keys, pattern) for pattern in patterns)

    @contextmanager
    def _lock(self, *accounts: Account) -> Iterator[None]:
        """Lock these accounts against linking and unlinking by other requests; wait for those under way.

        Without this, two users who link each other at once would each point the other's account to themselves. All
        take accounts in the same order, so one of them gets both; the others find what was done.
        """
        began, held = time.monotonic(), []
        try:
            for account in sorted(set(map(str, accounts))):
                key = f"{self._prefix}linking:{account_tag(account)}"
                while self._connection.call("SET", key, 1, "NX", "EX", _HELD) is None:
                    if time.monotonic() > began + _WAIT:
                        raise StoreUnavailable("an account is being linked or unlinked elsewhere", retry_after=_HELD)
                    time.sleep(0.01)
                held.append((key, time.monotonic()))
            yield
        finally:
            for key, since in held:
                if time.monotonic() < since + _HELD / 2:  # later, another request may hold it
                    with suppress(StoreUnavailable):
                        self._connection.call("DEL", key)

    # -- The record of a user ------------------------------------------------------------------------------

    def _add(self, account: Account, by: Account) -> tuple[str, LinkedAccounts]:
        """List an account in the record of a user, which is made if there is none; return both."""
        for _ in attempts("the user"):
            user = self.user(by)
            self.check_can_link(account, user)
            if len(self.user(account).accounts) > 1:
                raise AccountLinkedElsewhere(str(account))
            user_id = user.id
            linked = self._linked.read(self._linked_key(user_id))
            if linked.accounts and str(by) not in linked.accounts:
                # Unlinked at this moment, or an earlier link was restored: that user id belongs to other accounts
                # now.
                user_id, linked = new_user_id(), LinkedAccounts()

            def add(accounts: tuple[str, ...], user: User = user) -> tuple[str, ...]:
                if len(accounts) >= MOST:  # entries without effect make room
                    accounts = tuple(map(str, user.accounts))
                return (*_without(accounts or (str(by),), account), str(account))

            after = self._change_linked(user_id, add, by if linked.accounts else None)
            if after is not None:
                return user_id, after
        raise AssertionError  # `attempts` has raised

    def _remove(self, user_id: str, account: Account, by: Account) -> bool:
        """Take an account off the record of a user; return False if it or `by` is not on it any more."""
        # Of two accounts that unlink each other one stays, or the user would have no account.
        after = self._change_linked(
            user_id, lambda accounts: _without(accounts, account) if str(account) in accounts else None, by
        )
        return after is not None

    def _change_linked(
        self, user_id: str, change: Callable[[tuple[str, ...]], tuple[str, ...] | None], by: Account | None
    ) -> LinkedAccounts | None:
        """Change the accounts of a user, as long as `by` is one of them; return the linked, or `None` if not."""

        def changed(before: LinkedAccounts) -> LinkedAccounts | None:
            accounts = change(before.accounts) if by is None or str(by) in before.accounts else None
            return None if accounts is None else LinkedAccounts(accounts=accounts, revision=before.revision + 1)

        return self._linked.change(self._linked_key(user_id), changed)[1]

    def _linked_key(self, user_id: str) -> str:
        return f"{self._prefix}{{{user_id}}}:accounts"

    # -- The link of an account ---------------------------------------------------------------------------

    def _link_key(self, account: str) -> str:
        return self._repository.account_keys(account).account_key(LINK_KEY.name)

    def _linked_to(self, user_id: str, accounts: Iterable[str]) -> set[str]:
        """Return those of the accounts whose link names this user."""
        keys = {account: self._link_key(account) for account in accounts}
        values = self._connection.values(*keys.values())
        return {
            account
            for (account, key), stored in zip(keys.items(), values, strict=True)
            if self._links.decode(key, stored).user == user_id
        }

    def _link_to(self, account: str, user_id: str, revision: int) -> bool:
        """Point an account to a user; return False if it is linked with accounts of another user."""

        def claim(before: AccountLink) -> AccountLink | None:
            if before.user == user_id:
                return msgspec.structs.replace(before, revision=revision)
            if len(self.user(stored(account), before).accounts) > 1:
                return None
            return AccountLink(user=user_id, alone=new_user_id(), revision=revision)

        return self._change_link(account, claim)

    def _release(self, account: str, user_id: str) -> bool:
        """Remove an account's link to a user; return False if it no longer points to this user."""

        def let_go(before: AccountLink) -> AccountLink | None:
            return AccountLink(alone=before.alone) if before.user == user_id else None

        return self._change_link(account, let_go)

    def _change_link(self, account: str, change: Callable[[AccountLink], AccountLink | None]) -> bool:
        return self._links.change(self._link_key(account), change)[1] is not None

    def _announce(self, user_id: str, linked: LinkedAccounts) -> None:
        """Rotate the ids of all living sessions of a user, since the user's accounts have changed."""
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
            # The change itself is done, and an error would make the user do it twice.
            logger.warning("sessions of a user keep their ids: %s", error)


def _without(accounts: tuple[str, ...], account: Account) -> tuple[str, ...]:
    return tuple(each for each in accounts if each != str(account))
