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
from ...sessions.repository import Records, account_tag
from ...settings import Settings
from ...sign_in.accounts import Account, stored
from ...storage import scripts
from ...storage.connection import Link
from ...storage.encryption import KeyRing, Unsealable
from .user import Person, Pointer, Roll, born_id, new_id

logger = logging.getLogger(__name__)

MOST = 8
"""How many accounts a person may have; each is looked at when the person is."""

_ATTEMPTS = 100  # each round at least one of the writers gets through
_HELD = 10  # seconds after which accounts are free again, should a process have died while it linked them
_WAIT = 3.0  # seconds for others to finish; nobody who still waits then has an account held


class People:
    """Reads and changes who is linked with whom. All methods raise `StoreUnavailable` when Redis does not answer.

    `by` is the account whose session asks; it has signed for exactly this.
    """

    def __init__(self, link: Link, keys: KeyRing, records: Records, settings: Settings) -> None:
        self._link = link
        self._keys = keys
        self._records = records
        self._prefix = settings.redis_prefix
        self._decode = msgspec.msgpack.Decoder(Roll).decode

    def pointer(self, account: Account | str) -> Pointer:
        """Return the pointer of an account."""
        key = self._pointer_key(str(account))
        return self._records.open_pointer(key, self._link.call("GET", key))

    def of(self, account: Account, pointer: Pointer | None = None) -> Person:
        """Return the person behind an account; `pointer` is its own, if it has been read already.

        Two round trips for an account that is linked, none for one that never was.
        """
        pointer = self.pointer(account) if pointer is None else pointer
        if pointer.person:
            _, _, roll = self._read(pointer.person)
            if roll is not None and str(account) in roll.accounts:
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
        for _ in range(_ATTEMPTS):
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
        else:
            raise StoreUnavailable("the person kept changing", retry_after=1)
        self._records.revoke_account(str(account), "wallet_unlinked")
        if self._let_go(str(account), person.id):
            self._announce(person.id, self._read(person.id)[2] or Roll())
            events.publish(events.WalletUnlinked(account=str(by), other=str(account), person=person.id))

    def prefer(self, account: Account, by: Account) -> bool:
        """Make an account the primary one of the person behind `by`; return whether that changed anything.

        Raises `NotFound` for an account that is not this person's.
        """
        for _ in range(_ATTEMPTS):
            person = self.of(by)
            if account not in person.accounts:
                raise NotFound("no account of this person")
            if person.primary == account:
                return False
            key, sealed, roll = self._read(person.id)
            if roll is None or not {str(account), str(by)} <= set(roll.accounts):
                continue
            others = tuple(each for each in roll.accounts if each != str(account))
            after = Roll(accounts=(str(account), *others), revision=roll.revision + 1)
            if self._swap(key, sealed, after):
                self._announce(person.id, after)
                events.publish(
                    events.PrimaryChanged(
                        account=str(by), other=str(account), person=person.id, before=str(person.primary)
                    )
                )
                return True
        raise StoreUnavailable("the person kept changing", retry_after=1)

    def reseal(self) -> int:
        """Seal with the newest secret whatever an older one had sealed; return how many values. Without this, people
        would go with the secret that is dropped after a rotation.
        """
        count = 0
        for name in ("accounts", "person"):
            for key in self._link.scan(self._records.pattern(name)):
                sealed = self._link.call("GET", key) or b""
                newest = self._keys.renew(sealed, key.encode())
                if newest is not None:
                    count += self._link.run(scripts.COMPARE_AND_SWAP, (key,), sealed, newest)
        return count

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

    # -- The record of a person ------------------------------------------------------------------------------

    def _list(self, account: Account, by: Account) -> tuple[str, Roll]:
        """List an account in the record of a person, which is made if there is none; return both."""
        for _ in range(_ATTEMPTS):
            person = self.of(by)
            self.admit(account, person)
            if len(self.of(account).accounts) > 1:
                raise AccountLinkedElsewhere(str(account))
            person_id = person.id
            key, sealed, roll = self._read(person_id)
            if roll is not None and str(by) not in roll.accounts:
                # Unlinked at this moment, or a pointer of before was put back: that person is somebody else's now.
                person_id = new_id()
                key, sealed, roll = self._read(person_id)
            listed = roll.accounts if roll is not None else (str(by),)
            if len(listed) >= MOST:  # lines that mean nothing make room
                listed = tuple(map(str, person.accounts))
            others = tuple(each for each in listed if each != str(account))
            after = Roll(accounts=(*others, str(account)), revision=roll.revision + 1 if roll is not None else 1)
            if self._swap(key, sealed, after):
                return person_id, after
        raise StoreUnavailable("the person kept changing", retry_after=1)

    def _strike(self, person_id: str, account: Account, by: Account) -> bool:
        """Take an account off the record of a person; return False if it or `by` is not on it any more."""
        for _ in range(_ATTEMPTS):
            key, sealed, roll = self._read(person_id)
            # Of two that unlink each other one stays, or the person would be nobody.
            if roll is None or not {str(account), str(by)} <= set(roll.accounts):
                return False
            left = tuple(each for each in roll.accounts if each != str(account))
            if self._swap(key, sealed, Roll(accounts=left, revision=roll.revision + 1)):
                return True
        raise StoreUnavailable("the person kept changing", retry_after=1)

    def _read(self, person_id: str) -> tuple[str, bytes, Roll | None]:
        key = f"{self._prefix}{{{person_id}}}:accounts"
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

    # -- The pointer of an account ---------------------------------------------------------------------------

    def _pointer_key(self, account: str) -> str:
        return self._records.place_of(account).pointer

    def _pointing(self, person_id: str, accounts: Iterable[str]) -> set[str]:
        """Return those of the accounts whose pointer names this person."""
        keys = {account: self._pointer_key(account) for account in accounts}
        if self._link.is_cluster:  # they are on as many slots
            values = [self._link.call("GET", key) for key in keys.values()]
        else:
            values = self._link.call("MGET", *keys.values())
        return {
            account
            for (account, key), sealed in zip(keys.items(), values, strict=True)
            if self._records.open_pointer(key, sealed).person == person_id
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
        key = self._pointer_key(account)
        for _ in range(_ATTEMPTS):
            sealed = self._link.call("GET", key)
            after = change(self._records.open_pointer(key, sealed))
            if after is None:
                return False
            if self._swap(key, sealed or b"", after):
                return True
        raise StoreUnavailable("the pointer kept changing", retry_after=1)

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

    def _swap(self, key: str, before: bytes, after: Roll | Pointer) -> bool:
        sealed = self._keys.seal(msgspec.msgpack.encode(after), key.encode())
        return bool(self._link.run(scripts.COMPARE_AND_SWAP, (key,), before, sealed) == 1)
