"""`WalletSessions`: builds the services from the configuration and registers the web parts."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask, has_request_context
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from . import embedded, policy
from .accounts import Account
from .challenges import Challenges
from .connection import Link, refuse_unsafe_server
from .errors import Misconfigured
from .lifecycle import Lifecycle
from .records import Records
from .sealing import KeyRing
from .settings import PREFIX, Settings
from .store import SessionStore
from .web import failures, guards, view
from .web.api import api
from .web.headers import SecurityHeaders
from .web.pages import pages
from .web.services import Services

logger = logging.getLogger(__name__)


def _member(account: Account) -> str:
    return "member"


class WalletSessions:
    """The Flask extension.

    `role_for(account)` returns the role of an account and is asked on each request that needs it. `clock` returns
    seconds since the epoch and times challenges; sessions run on Redis's clock.
    """

    def __init__(
        self,
        app: Flask | None = None,
        *,
        role_for: Callable[[Account], str] = _member,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._role_for = role_for
        self._clock = clock
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask) -> None:
        """Set up `app`; raise `Misconfigured` for anything unsafe, with the sentence that fixes it."""
        if importlib.util.find_spec("coincurve") is None:
            raise Misconfigured(
                "coincurve is missing: run pip install coincurve. Without it a flood of signatures stops the server."
            )
        _development_secret(app)
        settings = Settings.from_config(app.config)
        link = Link(settings.redis_url or _private_redis(app), settings.redis_timeout_ms / 1000)
        if not settings.development and settings.redis_check:
            refuse_unsafe_server(link)
        records = Records(link, KeyRing(settings.secrets, "sessions_core record 1"), settings)
        store = SessionStore(app, records, settings)
        _configure(app, settings, store)
        Services(
            settings=settings,
            records=records,
            store=store,
            lifecycle=Lifecycle(records),
            challenges=Challenges(settings, records, self._clock),
            csrf=_csrf(app),
            session_type=policy.standard(settings),
            role_for=self._role_for,
        ).install(app)
        guards.demand_declarations(app)
        app.before_request(guards.guard)
        app.register_blueprint(pages)
        app.register_blueprint(api)
        failures.register(app)
        _templates(app, settings)
        app.wsgi_app = SecurityHeaders(app.wsgi_app, settings)  # type: ignore[method-assign]
        if settings.trusted_proxies:
            hops = settings.trusted_proxies
            app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def _configure(app: Flask, settings: Settings, store: SessionStore) -> None:
    app.session_interface = store
    app.config.update(
        SESSION_COOKIE_NAME=store.cookie_name,
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE=settings.cookie_samesite,
    )
    if app.config["TRUSTED_HOSTS"] is None:
        # A spoofed Host must not get into links and redirects.
        app.config["TRUSTED_HOSTS"] = [settings.host]


def _csrf(app: Flask) -> CSRFProtect:
    # The guard calls it in its own order; the token lives as long as the session's secret.
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # an application that made its own CSRFProtect has set it to True
    app.config.setdefault("WTF_CSRF_TIME_LIMIT", None)
    csrf = app.extensions.get("csrf")
    return csrf if isinstance(csrf, CSRFProtect) else CSRFProtect(app)


def _templates(app: Flask, settings: Settings) -> None:
    app.jinja_env.filters.update(iso=view.iso, clock=view.clock, duration=view.duration)
    site = {"name": settings.site_name, "origin": settings.public_origin}
    # Outside a request (an e-mail made by a command) nobody is signed in.
    app.context_processor(
        lambda: {"site": site, "current_session": guards.session_view() if has_request_context() else None}
    )


def _private_redis(app: Flask) -> str:
    server = embedded.start(Path(app.instance_path) / "redis")
    app.extensions["wallet_sessions_redis"] = server  # it ends when nobody holds it
    return server.url


def _development_secret(app: Flask) -> None:
    if app.config.get("SECRET_KEY") or not app.config.get(f"{PREFIX}DEVELOPMENT"):
        return
    path = Path(app.instance_path) / "secret_key"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        # Linked into place once it is whole: of two processes that start together, both read the same secret.
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as file:  # mode 0600
            file.write(secrets.token_urlsafe(32))
            file.flush()
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
                logger.warning("Made a secret for development and kept it in %s", path)
    app.config["SECRET_KEY"] = path.read_text()
