"""What the kernel and the parts declare: errors, events and settings."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import Field, fields
from types import ModuleType
from typing import Any

from sessions_core import errors, events, part
from sessions_core.settings import Settings

PARTS = part.choose(None)


def settings() -> dict[str, Field[Any]]:
    """Return every setting by its field's name."""
    classes = [Settings, *(each.settings for each in PARTS if each.settings is not None)]
    return {each.name: each for kind in classes for each in fields(kind)}


def error_classes() -> list[type[errors.SessionsError]]:
    """Return the errors that the kernel and the parts declare."""
    return [*_of(errors, errors.SessionsError), *(each for one in PARTS for each in one.errors)]


def event_classes() -> list[type[events.Event]]:
    """Return the events that the kernel and the parts declare."""
    modules = [events]
    for each in PARTS:
        if importlib.util.find_spec(f"{each.__module__}.events"):
            modules.append(importlib.import_module(f"{each.__module__}.events"))
    return [each for module in modules for each in _of(module, events.Event) if each is not events.Event]


def _of(module: ModuleType, base: type) -> Iterator[Any]:
    for each in vars(module).values():
        if isinstance(each, type) and issubclass(each, base) and each.__module__ == module.__name__:
            yield each
