"""The setting of live updates."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import Misconfigured
from ...settings import PREFIX, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveUpdateSettings:
    """How many connections a process holds."""

    live_connections: int = -1
    """How many browsers one server process tells of changes at once; each takes a thread of the server. -1 is half
    the threads of `gunicorn_worker.Worker`, and none with other servers, which don't say how many they have.
    Further browsers ask every 30 seconds instead, and with 0 all of them do."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for an impossible number."""
        if not -1 <= self.live_connections <= 10_000:
            raise Misconfigured(f"{PREFIX}LIVE_CONNECTIONS must be between -1 and 10000.")
