"""A person: one account, or several that are linked. Linking gives all of them one id, and no rights: role and
permissions stay with the account that signed.

An account belongs to a person if that person's record lists it *and* its own pointer names that person. The two are
on different slots of a Cluster, so nothing changes both at once; a crash in between leaves an account that belongs to
nobody, never one that belongs to two.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass

import msgspec

from ...sessions.end_reasons import EndReason
from ...sessions.record import AccountKey
from ...sign_in.accounts import Account


class Pointer(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """What is kept beside the sessions of an account, and read with each of their requests.

    `person` is the id it points to. `alone` is the id that the account goes by while it belongs to nobody, empty for
    the one it is born with; it is a new one after each link, so that an account that was unlinked never answers to
    the id of those who unlinked it. `revision` is that of the person's record when it last changed.
    """

    person: str = ""
    alone: str = ""
    revision: int = 0


UNLINKED = Pointer()
PERSON = AccountKey(name="person")
UNLINKED_REASON = EndReason("wallet_unlinked", "the account was unlinked from its person")


class Roll(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The record of a person: CAIP-10 accounts, the primary one first, and how often that changed."""

    accounts: tuple[str, ...] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Person:
    """Who is behind an account: a stable id `usr_…`, and all their accounts, the primary one first.

    An id is no secret: who knows an account that was never linked can work its id out.
    """

    id: str
    accounts: tuple[Account, ...]

    @property
    def primary(self) -> Account:
        """The account they chose, else the one that was there first."""
        return self.accounts[0]


def born_id(account: str) -> str:
    """Return the id of an account (CAIP-10) that was never linked: always the same, and stored nowhere."""
    return derived_id(account.encode())


def derived_id(seed: bytes) -> str:
    """Return the id that follows from a seed. 128 bits: two never meet by chance."""
    return "usr_" + _text(hashlib.blake2b(seed, digest_size=16, person=b"wallet-person").digest())


def new_id() -> str:
    """Return an id that nobody has had."""
    return "usr_" + _text(secrets.token_bytes(16))


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).decode().rstrip("=")
