"""Every type of event."""

from __future__ import annotations

from sessions_core import events
from sessions_core.events import Event


def event_types() -> list[type[Event]]:
    """Return the classes of events, without their base."""
    return [each for each in vars(events).values() if isinstance(each, type) and issubclass(each, Event)][1:]
