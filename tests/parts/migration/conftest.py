"""A former site and the new one, on one Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from .sites import account_of, former_site, with_data_page

_WHOLE = ("SESSIONS_CORE_", "SESSION_COOKIE_", "REMEMBER_COOKIE_", "SECRET_KEY")  # of other parts, and of Flask


@pytest.fixture
def former(redis_url: str) -> Iterator[Flask]:
    app = former_site(redis_url)
    yield app
    app.config["SESSION_REDIS"].close()


@pytest.fixture
def make_site(make_app: Callable[..., Flask]) -> Callable[..., Flask]:
    """Make the new site, which moves sessions from all sources. The settings of this part lack their beginning."""

    def make(**settings: Any) -> Flask:
        own = {
            name if name.startswith(_WHOLE) else f"SESSIONS_CORE_MIGRATE_{name}": value
            for name, value in settings.items()
        }
        sources = ["redis", "signed_cookie", "remember_cookie"]
        base = {"SESSIONS_CORE_MIGRATE_FROM": sources, "SESSIONS_CORE_MIGRATE_ACCOUNT": account_of}
        return with_data_page(make_app(**base | own))

    return make


@pytest.fixture
def app(make_site: Callable[..., Flask]) -> Flask:
    return make_site()
