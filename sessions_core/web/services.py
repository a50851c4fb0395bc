"""What `extension` built for this application, where guards, pages and JSON find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app
from flask_wtf.csrf import CSRFProtect

from ..accounts import Account
from ..challenges import Challenges
from ..lifecycle import Lifecycle
from ..policy import SessionType
from ..records import Records
from ..settings import Settings
from ..store import SessionStore

EXTENSION = "wallet_sessions"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One object per application."""

    settings: Settings
    records: Records
    store: SessionStore
    lifecycle: Lifecycle
    challenges: Challenges
    csrf: CSRFProtect
    session_type: SessionType
    role_for: Callable[[Account], str]

    def install(self, app: Flask) -> None:
        """Keep the services with the application."""
        app.extensions[EXTENSION] = self


def services() -> Services:
    """Return the services of the current application."""
    return cast(Services, current_app.extensions[EXTENSION])
