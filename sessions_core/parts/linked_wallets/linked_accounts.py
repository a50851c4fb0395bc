"""Which accounts are one person: link, unlink, choose the primary one.

    {usr_…}:accounts   string  sealed: the accounts of a person, the primary one first
    {tag}:person       string  sealed: the person that an account points to; read with each request of its sessions
    linking:<tag>      string  there while an account is being linked or unlinked, for ten seconds at most

An account belongs to a person if both say so. To link, it is listed first and pointed last; to unlink, it is struck
off first. So each change holds from one write on, and a crash leaves at most a line in a record, or a pointer, that
means nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

import msgspec

from ... import events
from ...errors import (
    AccountInUse,
    AccountLast,
    AccountLinked,
    AccountLinkedElsewhere,
    AccountsTooMany,
    NotFound,
    StoreUnavailable,
)
from ...sessions.lifecycle import Lifecycle
from ...sessions.record import AccountValues, account_tag
from ...sessions.repository import SessionRepository
from ...settings import Settings
from ...sign_in.accounts import Account, stored
from ...storage.connection import RedisConnection
from ...storage.encrypted_value import EncryptedValues, attempts, reencrypt
from ...storage.encryption import KeyRing
from .user import PERSON, UNLINKED, UNLINKED_REASON, Person, Pointer, Roll, born_id, derived_id, new_id

logger = logging.getLogger(__name__)

MOST = 8
"""How many accounts a person may have; each is looked at when the person is."""

_HELD = 10  # seconds after which accounts are free again, should a process have died while it linked them
_WAIT = 3.0  # seconds for others to finish; nobody who still waits then has an account held


class People:
    """Reads and changes who is linked with whom. All methods raise `StoreUnavailable` when Redis does not answer.

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
        # Accounts on a roll that can't be read are each alone until it can be read again: nobody is signed out, and
        # nobody is taken for somebody else.
        self._rolls = EncryptedValues(connection, keys, Roll, Roll())
        # What can't be read leads to no person. Its account then goes by an id that it never had: its first one may
        # be that of a person who unlinked it.
        self._pointers = EncryptedValues(
            connection, keys, Pointer, UNLINKED, lambda key, stored: Pointer(alone=derived_id(key.encode() + stored))
        )

    def pointer(self, account: Account | str) -> Pointer:
        """Return the pointer of an account."""
        return self._pointers.read(self._pointer_key(str(account)))

    def pointer_of(self, values: AccountValues) -> Pointer:
        """Return the pointer of an account whose values were read."""
        return values.decoded(PERSON.name, self._pointers.decode)

    def of(self, account: Account, pointer: Pointer | None = None) -> Person:
        """Return the person behind an account; `pointer` is its own, if it has been read already.

        Two round trips for an account that is linked, none for one that never was.
        """
        pointer = self.pointer(account) if pointer is None else pointer
        if pointer.person:
            roll = self._rolls.read(self._roll_key(pointer.person))
            if str(account) in roll.accounts:
                listed = self._pointing(pointer.person, roll.accounts)
                # By the pointer that was given: the account was one of them when the request began.
                accounts = [each for each in roll.accounts if each in listed or each == str(account)]
                return Person(pointer.person, tuple(map(stored, accounts)))
        return Person(pointer.alone or born_id(str(account)), (account,))

    def admit(self, account: Account, person: Person) -> None:
        """Refuse an account that can't become one more of this person's; what may be said of others comes later.

        Raises `AccountLinked` or `AccountsTooMany`.
        """
        if account in person.accounts:
            raise AccountLinked(str(account))
        if len(person.accounts) >= MOST:
            raise AccountsTooMany(len(person.accounts))

    def knows(self, account: Account, person: Person) -> bool:
        """Whether an account is this person's, or was and is left pointing here by an unlinking cut short."""
        return account in person.accounts or self.pointer(account).person == person.id

    def link(self, account: Account, by: Account) -> Person:
        """Make an account one more of the person behind `by`; both have signed. Return that person.

        An account that is alone is taken with the id it had, which nobody has any more. Raises what `admit` raises,
        or `AccountLinkedElsewhere` for one that belongs to somebody together with others.
        """
        with self._hold(account, by):
            return self._link_held(account, by)

    def _link_held(self, account: Account, by: Account) -> Person:
        before = self.of(account)
        person_id, roll = self._list(account, by)
        # The account that asks first: a person is made of it, and the other one comes to them. The last of these
        # writes links the two.
        for each in (by, account):
            if not self._claim(str(each), person_id, roll.revision):
                self._strike(person_id, account, by)
                raise AccountLinkedElsewhere(str(each))
        person = self.of(account)
        if person.id != person_id or by not in person.accounts:
            raise StoreUnavailable("linked or unlinked from elsewhere at the same moment", retry_after=1)
        self._announce(person_id, roll)
        events.publish(events.WalletLinked(account=str(by), other=str(account), person=person.id, before=before.id))
        return person

    def unlink(self, account: Account, by: Account) -> None:
        """Take an account from the person behind `by`, and end all its sessions.

        It goes on alone, under an id that nobody has had. Raises `NotFound` for an account that is not this
        person's, `AccountLast` for the only one, `AccountInUse` for the one that asks.
        """
        with self._hold(account, by):
            self._unlink_held(account, by)

    def _unlink_held(self, account: Account, by: Account) -> None:
        for _ in attempts("the person"):
            person = self.of(by)
            if account not in person.accounts:
                if not self.knows(account, person):
                    raise NotFound("no account of this person")
                break  # a crash had cut an unlinking short, and this one completes it
            if len(person.accounts) == 1:
                raise AccountLast(str(account))
            if account == by:
                raise AccountInUse(str(account))
            if self._strike(person.id, account, by):
                break
        self._lifecycle.revoke_account(account, UNLINKED_REASON.name)
        if self._let_go(str(account), person.id):
            self._announce(person.id, self._rolls.read(self._roll_key(person.id)))
            events.publish(events.WalletUnlinked(account=str(by), other=str(account), person=person.id))

    def prefer(self, account: Account, by: Account) -> bool:
        """Make an account the primary one of the person behind `by`; return whether that changed anything.

        Raises `NotFound` for an account that is not this person's.
        """
        for _ in attempts("the person"):
            person = self.of(by)
            if account not in person.accounts:
                raise NotFound("no account of this person")
            if person.primary == account:
                return False
            after = self._change_roll(
                person.id,
                lambda accounts: (str(account), *_without(accounts, account)) if str(account) in accounts else None,
                by,
            )
            if after is not None:
                self._announce(person.id, after)
                events.publish(
                    events.PrimaryChanged(
                        account=str(by), other=str(account), person=person.id, before=str(person.primary)
                    )
                )
                return True
        raise AssertionError  # `attempts` has raised

    def reencrypt(self) -> int:
        """Encrypt with the newest secret whatever an older one had encrypted; return how many values. Without this,
        people would go with the secret that is dropped after a rotation.
        """
        patterns = map(self._repository.pattern, ("accounts", PERSON.name))
        return sum(reencrypt(self._connection, self._keys, pattern) for pattern in patterns)

    @contextmanager
    def _hold(self, *accounts: Account) -> Iterator[None]:
        """Let nobody else link or unlink these accounts meanwhile; wait for those who are at it.

        Without this, two people who link each other at once would each point the other's account to themselves. All
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
                if time.monotonic() < since + _HELD / 2:  # later, it may be somebody else's
                    with suppress(StoreUnavailable):
                        self._connection.call("DEL", key)

    # -- The record of a person ------------------------------------------------------------------------------

    def _list(self, account: Account, by: Account) -> tuple[str, Roll]:
        """List an account in the record of a person, which is made if there is none; return both."""
        for _ in attempts("the person"):
            person = self.of(by)
            self.admit(account, person)
            if len(self.of(account).accounts) > 1:
                raise AccountLinkedElsewhere(str(account))
            person_id = person.id
            roll = self._rolls.read(self._roll_key(person_id))
            if roll.accounts and str(by) not in roll.accounts:
                # Unlinked at this moment, or a pointer of before was put back: that person is somebody else's now.
                person_id, roll = new_id(), Roll()

            def add(accounts: tuple[str, ...], person: Person = person) -> tuple[str, ...]:
                if len(accounts) >= MOST:  # lines that mean nothing make room
                    accounts = tuple(map(str, person.accounts))
                return (*_without(accounts or (str(by),), account), str(account))

            after = self._change_roll(person_id, add, by if roll.accounts else None)
            if after is not None:
                return person_id, after
        raise AssertionError  # `attempts` has raised

    def _strike(self, person_id: str, account: Account, by: Account) -> bool:
        """Take an account off the record of a person; return False if it or `by` is not on it any more."""
        # Of two that unlink each other one stays, or the person would be nobody.
        after = self._change_roll(
            person_id, lambda accounts: _without(accounts, account) if str(account) in accounts else None, by
        )
        return after is not None

    def _change_roll(
        self, person_id: str, change: Callable[[tuple[str, ...]], tuple[str, ...] | None], by: Account | None
    ) -> Roll | None:
        """Change the accounts of a person, as long as `by` is one of them; return the roll, or `None` if not."""

        def changed(before: Roll) -> Roll | None:
            accounts = change(before.accounts) if by is None or str(by) in before.accounts else None
            return None if accounts is None else Roll(accounts=accounts, revision=before.revision + 1)

        return self._rolls.change(self._roll_key(person_id), changed)[1]

    def _roll_key(self, person_id: str) -> str:
        return f"{self._prefix}{{{person_id}}}:accounts"

    # -- The pointer of an account ---------------------------------------------------------------------------

    def _pointer_key(self, account: str) -> str:
        return self._repository.account_keys(account).account_key(PERSON.name)

    def _pointing(self, person_id: str, accounts: Iterable[str]) -> set[str]:
        """Return those of the accounts whose pointer names this person."""
        keys = {account: self._pointer_key(account) for account in accounts}
        values = self._connection.values(*keys.values())
        return {
            account
            for (account, key), stored in zip(keys.items(), values, strict=True)
            if self._pointers.decode(key, stored).person == person_id
        }

    def _claim(self, account: str, person_id: str, revision: int) -> bool:
        """Point an account to a person; return False if it is linked with others of somebody else."""

        def claim(before: Pointer) -> Pointer | None:
            if before.person == person_id:
                return msgspec.structs.replace(before, revision=revision)
            if len(self.of(stored(account), before).accounts) > 1:
                return None
            return Pointer(person=person_id, alone=new_id(), revision=revision)

        return self._turn(account, claim)

    def _let_go(self, account: str, person_id: str) -> bool:
        """Point an account to nobody; return False if it no longer points to this person."""

        def let_go(before: Pointer) -> Pointer | None:
            return Pointer(alone=before.alone) if before.person == person_id else None

        return self._turn(account, let_go)

    def _turn(self, account: str, change: Callable[[Pointer], Pointer | None]) -> bool:
        return self._pointers.change(self._pointer_key(account), change)[1] is not None

    def _announce(self, person_id: str, roll: Roll) -> None:
        """Have all living sessions of a person go on under new ids: what they are sessions of has changed."""
        try:
            for account in roll.accounts:
                self._turn(
                    account,
                    lambda before: (
                        msgspec.structs.replace(before, revision=roll.revision)
                        if before.person == person_id and before.revision < roll.revision
                        else None
                    ),
                )
        except StoreUnavailable as error:
            # The change itself is done, and saying otherwise would have it done twice.
            logger.warning("sessions of a person keep their ids: %s", error)


def _without(accounts: tuple[str, ...], account: Account) -> tuple[str, ...]:
    return tuple(each for each in accounts if each != str(account))
