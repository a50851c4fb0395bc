"""What happens with a user's list of sessions, as events for `sessions_core.events.happened`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...events import Event


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionNamed(Event):
    """A user gave the session a name of their own, or took it away."""

    name: ClassVar[str] = "session.named"
    kind = "changes"
    kept = "routine"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientChanged(Event):
    """A session that was used from one place goes on from another: `changed` names what differs, "ip" or "device"."""

    name: ClassVar[str] = "client.changed"
    kind = "changes"
    handle: str
    account: str
    changed: str
