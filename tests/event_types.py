"""Every type of event."""

from __future__ import annotations

from sessions_core.events import Event

from . import claims


def event_types() -> list[type[Event]]:
    """Return the classes of events, without their base."""
    return claims.event_classes()
