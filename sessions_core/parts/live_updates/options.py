"""The setting of live updates."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import Misconfigured
from ...settings import PREFIX, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveUpdateSettings:
    """How many connections a process holds."""

    live_connections: int = 8
    """How many browsers one server process tells of changes at once. Each takes a thread of the server, so leave at
    least half of them for pages. Further browsers ask every 30 seconds instead, and with 0 all of them do."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for an impossible number."""
        if not 0 <= self.live_connections <= 10_000:
            raise Misconfigured(f"{PREFIX}LIVE_CONNECTIONS must be between 0 and 10000.")
