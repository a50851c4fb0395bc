"""What happens with a user's accounts, as events for `sessions_core.events.happened`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletLinked(Event):
    """`other` is now one of the accounts of `user`, as `account` is, whose session asked; both have signed.

    `before` is the previous user id of `other`, which is retired: data that was stored under it now belongs to the
    user.
    """

    name: ClassVar[str] = "wallet.linked"
    kind = "changes"
    account: str
    other: str
    user: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletUnlinked(Event):
    """`other` is no account of `user` any more, and its sessions have ended; a session of `account` asked."""

    name: ClassVar[str] = "wallet.unlinked"
    kind = "changes"
    account: str
    other: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryChanged(Event):
    """`other` is now the primary account of `user`, where `before` was; a session of `account` asked."""

    name: ClassVar[str] = "wallet.primary_changed"
    kind = "changes"
    account: str
    other: str
    user: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkFailed(Event):
    """A wallet was not linked; `other` is the one that was to be."""

    name: ClassVar[str] = "link.failed"
    kind = "refusals"
    kept = "refusals"
    handle: str
    account: str
    other: str
    code: str
