"""What happens to refresh tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefreshed(Event):
    """A client without cookies exchanged its refresh token for the next."""

    name: ClassVar[str] = "token.refreshed"
    kind = "changes"
    kept = "routine"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReused(Event):
    """A refresh token came back that was exchanged before: it was stolen, so its session ends."""

    name: ClassVar[str] = "token.reused"
    kind = "refusals"
    handle: str
    account: str
