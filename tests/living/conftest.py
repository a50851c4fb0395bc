"""An application of somebody else, to which WalletSessions and another extension are added in either order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import WalletSessions, public
from sessions_core.web.services import EXTENSION

Assemble = Callable[..., Flask]


@pytest.fixture(params=["before", "after"])
def assemble(request: pytest.FixtureRequest, redis: Redis, overrides: dict[str, Any]) -> Iterator[Assemble]:
    """Return a function that makes an application with `add(app)` called before or after `WalletSessions(app)`."""
    made: list[Flask] = []

    def assemble(add: Callable[[Flask], Any], settings: dict[str, Any] | None = None, **seams: Any) -> Flask:
        app = Flask("tests.living")
        app.config.update(overrides | (settings or {}))
        app.testing = True
        if request.param == "before":
            add(app)
        WalletSessions(app, **seams)
        if request.param == "after":
            add(app)
        app.add_url_rule("/", "home", public(lambda: "home"))
        made.append(app)
        return app

    yield assemble
    for app in made:
        app.extensions[EXTENSION].connection.close()
