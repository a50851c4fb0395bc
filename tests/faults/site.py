"""The demo with the views that the rounds use, for a server of its own: `gunicorn tests.faults.site:app`."""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, jsonify, session

from app import create_app
from sessions_core import fresh_required, signed_in


def make(**settings: Any) -> Flask:
    app = create_app(
        {
            "SECRET_KEY": "a test secret of 32 characters or more, 0123456789",
            "SESSIONS_CORE_DEVELOPMENT": True,
            "SESSIONS_CORE_SIGN_INS_PER_ADDRESS": "100000/minute",
            "SESSIONS_CORE_SIGN_INS_PER_BROWSER": "100000/minute",
            "SESSIONS_CORE_CHALLENGES_PER_BROWSER": "100000/minute",
        }
        | settings,
        actions={"note.keep": "Keep the note {key}."},
    )

    @app.post("/write/<key>")
    @signed_in
    def write(key: str) -> str:
        session[key] = "kept"
        return "kept"

    @app.get("/page")
    @signed_in
    def page() -> str:
        return "yours"

    @app.get("/written")
    @signed_in
    def written() -> Response:
        return jsonify([key for key in session if key != "csrf_token"])

    @app.post("/confirmed/<key>")
    @fresh_required(0, "note.keep")
    def confirmed(key: str) -> str:
        session[key] = "kept"
        return "kept"

    return app


def __getattr__(name: str) -> Flask:
    if name != "app":
        raise AttributeError(name)
    return make(SESSIONS_CORE_REDIS_URL=os.environ["FAULTS_REDIS_URL"], SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)
