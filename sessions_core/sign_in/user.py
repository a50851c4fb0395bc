"""The user behind an account: a stable id, and all accounts of the user.

Without parts each account is a user of its own, whose id is derived from it and not stored. A part may change that
(`Part.user`).
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from dataclasses import dataclass

from .accounts import Account


@dataclass(frozen=True, slots=True)
class User:
    """A stable id `usr_…`, and the user's accounts, the primary one first.

    The id is no secret: anyone who knows an account that was never linked can compute its id.
    """

    id: str
    accounts: tuple[Account, ...]

    @property
    def primary(self) -> Account:
        """The account that the user chose, else the one that was there first."""
        return self.accounts[0]


def derived_user_id(account: str) -> str:
    """Return the id of an account (CAIP-10) that was never linked: always the same, and stored nowhere."""
    return user_id_of(account.encode())


def user_id_of(seed: bytes) -> str:
    """Return the id that follows from a seed. 128 bits: two never meet by chance."""
    return as_user_id(hashlib.blake2b(seed, digest_size=16, person=b"wallet-person").digest())


def as_user_id(digest: bytes) -> str:
    """Return 16 bytes written as a user id."""
    return "usr_" + urlsafe_b64encode(digest).decode().rstrip("=")
