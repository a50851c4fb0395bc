"""What happens to trial wallets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletExported(Event):
    """The server's key share of a trial wallet went to its user: from then on the key may be anywhere."""

    name: ClassVar[str] = "wallet.exported"
    kind = "changes"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletDeleted(Event):
    """The server's key share of a trial wallet was deleted: the key never signs here again."""

    name: ClassVar[str] = "wallet.deleted"
    kind = "changes"
    account: str
