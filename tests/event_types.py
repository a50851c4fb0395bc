"""Every type of event."""

from __future__ import annotations

import importlib
import importlib.util

from sessions_core import events, part
from sessions_core.events import Event


def event_types() -> list[type[Event]]:
    """Return the classes of events, of the kernel and of all parts, without their base."""
    names = (f"sessions_core.parts.{name}.events" for name in part.available())
    modules = [events, *(importlib.import_module(name) for name in names if importlib.util.find_spec(name))]
    found = (each for module in modules for each in vars(module).values())
    return [each for each in found if isinstance(each, type) and issubclass(each, Event) and each is not Event]
