"""What the server did for a browser: its latest requests, with their events, round trips to Redis, and time.

In development only. A browser that has opened the tour has a cookie with a random name for its log.
Its requests are noted in Redis, so that it does not matter which process answers. A note names no account, no session
id and no query.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, request
from werkzeug.wrappers import Response

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.storage.replies import items
from sessions_core.storage.scripts import Script
from sessions_core.web.services import Services, current_services

COOKIE = "tour-log"
# Read from the header as it came: a browser can send bytes in other cookies that no text is made of.
_SENT = re.compile(rf"(?:^|;\s*){COOKIE}=([A-Za-z0-9_-]{{22}})\s*(?:;|$)", re.ASCII)
_MOST = 20
_SECONDS = 60 * 60
# Files, what pages ask for by themselves, and the buttons whose own request is an attack: they would push out what is
# worth seeing.
_NOT_NOTED = re.compile(
    r"/static/|/sessions_core/|/tour/log|/tour/tricks/(replay|forge)|/api/auth/sessions/(validate|events$)|/favicon"
)

# KEYS log; ARGV note, most notes, seconds kept.
_NOTE = Script("""
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, ARGV[2] - 1)
redis.call('EXPIRE', KEYS[1], ARGV[3])
""")


@dataclass
class Exchange:
    """One request while it is answered. `round_trips` has the seconds of each exchange with Redis."""

    log: str = ""
    status: int = 0
    round_trips: list[float] = field(default_factory=list)
    events: list[str] = field(default_factory=list)


_current: ContextVar[Exchange | None] = ContextVar("tour_exchange", default=None)


@events.happened.connect
def _hear(event: events.Event, **_: Any) -> None:
    exchange = _current.get()
    if exchange is not None:
        more = next((f" · {each}" for name in ("code", "action") if (each := getattr(event, name, None))), "")
        exchange.events.append(event.name + more)


class ServerLog:
    """A WSGI layer that notes the requests of browsers with a log."""

    def __init__(self, app: Flask, services: Services) -> None:
        self._app, self._services = app.wsgi_app, services
        observe = services.connection.observe

        def count(seconds: float) -> None:
            observe(seconds)
            exchange = _current.get()
            if exchange is not None:
                exchange.round_trips.append(seconds)

        services.connection.observe = count

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application, then note what it did."""
        log = _log_of(environ)
        if not log or _NOT_NOTED.search(environ.get("PATH_INFO", "")):
            return self._app(environ, start_response)
        exchange = Exchange(log)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            exchange.status = int(status[:3])
            return start_response(status, headers, exc_info)

        before, began = _current.set(exchange), time.perf_counter()
        try:
            return self._app(environ, start)
        finally:
            took = time.perf_counter() - began
            _current.reset(before)
            self._note(environ, exchange, took)

    def _note(self, environ: dict[str, Any], exchange: Exchange, took: float) -> None:
        note = {
            "id": secrets.token_urlsafe(6),
            "at": int(time.time() * 1000),
            "method": environ["REQUEST_METHOD"],
            "path": environ.get("PATH_INFO", ""),
            "status": exchange.status,
            "round_trips": len(exchange.round_trips),
            "redis_ms": round(sum(exchange.round_trips) * 1000, 1),
            "ms": round(took * 1000, 1),
            "events": exchange.events,
        }
        try:
            key = _key(self._services, exchange.log)
            self._services.connection.run(_NOTE, (key,), json.dumps(note), _MOST, _SECONDS)
        except StoreUnavailable:
            pass  # the answer has been given; a missing note harms nobody


def register(app: Flask, services: Services) -> None:
    """Put the layer around the application, and give each browser on the tour a log."""
    app.wsgi_app = ServerLog(app, services)  # type: ignore[method-assign]
    app.after_request(_give_log)


def _give_log(response: Response) -> Response:
    if request.path.startswith("/tour") and response.status_code < 500 and not _log_of(request.environ):
        response.set_cookie(COOKIE, secrets.token_urlsafe(16), httponly=True, samesite="Lax", path="/")
    return response


@contextmanager
def not_counted() -> Iterator[None]:
    """Leave out what is read for the log itself."""
    before = _current.set(None)
    try:
        yield
    finally:
        _current.reset(before)


def latest() -> list[dict[str, Any]]:
    """Return the latest requests of this browser, newest first. Raises `StoreUnavailable`."""
    log = _log_of(request.environ)
    if not log:
        return []
    services = current_services()
    return [json.loads(each) for each in items(services.connection.call("LRANGE", _key(services, log), 0, _MOST - 1))]


def _log_of(environ: dict[str, Any]) -> str:
    """Return the name of this browser's log, or ""."""
    sent = _SENT.search(environ.get("HTTP_COOKIE", ""))
    return sent[1] if sent else ""


def _key(services: Services, log: str) -> str:
    return f"{services.settings.redis_prefix}tour:{log}"
