"""The stored records of a user with several accounts. Linking gives all of them one id, and no rights: role and
permissions stay with the account that signed.

An account belongs to a user if that user's record lists it *and* its own link names that user. The two are on
different slots of a Cluster, so nothing changes both at once; a crash in between leaves an account that belongs to no
user, never one that belongs to two.
"""

from __future__ import annotations

import secrets

import msgspec

from ...sessions.end_reasons import EndReason
from ...sessions.record import AccountKey
from ...sign_in.user import as_user_id


class AccountLink(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The link of an account to its user, stored beside its sessions and read with each of their requests.

    `user` is the id of the user that it names. `alone` is the account's user id while it is not linked, empty for the
    one derived from the account; it is a new one after each link, so that an unlinked account never has the id of its
    former user. `revision` is that of the user's record when it last changed.
    """

    user: str = ""
    alone: str = ""
    revision: int = 0


UNLINKED = AccountLink()
LINK_KEY = AccountKey(name="person")
UNLINKED_REASON = EndReason("wallet_unlinked", "the account was unlinked from its user")


class LinkedAccounts(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The record of a user: CAIP-10 accounts, the primary one first, and how often that changed."""

    accounts: tuple[str, ...] = ()
    revision: int = 0


def new_user_id() -> str:
    """Return an id that no user has had."""
    return as_user_id(secrets.token_bytes(16))
