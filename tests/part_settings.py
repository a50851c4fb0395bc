"""Reading the settings of one part as the extension does, for tests of what is refused at start."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

import pytest

from sessions_core import part
from sessions_core.errors import Misconfigured
from sessions_core.part import Part
from sessions_core.settings import PREFIX, Settings

SECRET = "kq3V8hT1mZ0xW5sY7bN2cR4dF6gJ9pLa"
PRODUCTION = {
    "SECRET_KEY": SECRET,
    "SESSIONS_CORE_PUBLIC_ORIGIN": "https://app.example.org",
    "SESSIONS_CORE_REDIS_URL": "rediss://redis.internal:6379/0",
}
DEVELOPMENT = {"SECRET_KEY": SECRET, "SESSIONS_CORE_DEVELOPMENT": True}


def config_of(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a Flask configuration; names without the prefix get it."""
    return base | {
        name if name.startswith(("SECRET_", "SESSION")) else PREFIX + name: value for name, value in changes.items()
    }


def settings_of(config: dict[str, Any], parts: Iterable[type[Part]]) -> Settings:
    """Read the kernel's settings beside those of some parts."""
    return Settings.from_config(config, {each.name for one in parts if one.settings for each in fields(one.settings)})


def options_of(kind: type[Part], base: dict[str, Any] = PRODUCTION, **changes: Any) -> Any:
    """Return the settings of a part, checked as at start."""
    config = config_of(base, changes)
    return part.read_options(kind, config, settings_of(config, [kind]))


def refusal_of(kind: type[Part], base: dict[str, Any] = PRODUCTION, **changes: Any) -> str:
    """Return the sentence that refuses such settings of a part at start."""
    with pytest.raises(Misconfigured) as caught:
        options_of(kind, base, **changes)
    return str(caught.value)
