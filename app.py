"""The demo: `create_app()` wires the configuration, the sessions, the demo's own page and its tour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask, render_template

import config
import tour
from sessions_core import WalletSessions, public


def create_app(overrides: Mapping[str, Any] | None = None, **seams: Any) -> Flask:
    """Return the application, configured by `config.py` and then by `overrides`; `seams` go to `WalletSessions`."""
    app = Flask(__name__)
    app.config.from_object(config)
    app.config.update(overrides or {})
    actions = {**tour.ACTIONS, **(seams.pop("actions", None) or {})}
    roles = {**tour.ROLES, **(seams.pop("roles", None) or {})}
    WalletSessions(app, actions=actions, roles=roles, **seams)
    tour.register(app)

    @app.get("/")
    @public
    def home() -> str:
        return render_template("home.html")

    return app


if __name__ == "__main__":
    create_app().run(host="localhost", port=config.PORT)
