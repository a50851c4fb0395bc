"""One WebSocket: follows one session until it ends, and tells the browser why."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Flask
from simple_websocket import ConnectionClosed, Server

from ...errors import StoreUnavailable
from ...sessions.record import EndedSession, LoadedSession, account_tag
from ...web.services import Services
from .account_state import state_of
from .errors import LiveUpdatesUnavailable
from .hub import Waiting

ENDED, RESTART, UNAVAILABLE, NOT_EXPECTED = 4401, 1012, 1013, 1008
"""Close codes: the session has ended (its reason comes along), the server stops, Redis does not answer, and the
browser sent something."""

PING_SECONDS = 25  # less than the minute after which proxies close a silent connection
_SEND_SECONDS = 5.0  # that a browser may take to read what fills its buffers
_LINGER_SECONDS, _LINGER_BYTES = 1.0, 2 * 1024 * 1024
_LARGEST_FRAME = 256  # bytes; a browser has nothing to say at all
_TICK = 1.0

SERVING, THREADS = "sessions_core.serving", "sessions_core.threads"
"""What a server can put into the environment of a request: a function that says whether it goes on, so that
connections end when it stops, and how many threads it has."""

_OF_DEVELOPMENT = 100  # connections: Flask's own server starts a thread for each, and has no limit


def most_connections(environ: dict[str, Any], wanted: int) -> int:
    """Return how many connections this process may have, if the setting says `wanted` (-1: as many as are safe):
    never all threads.

    Raises `LiveUpdatesUnavailable` if the server can't hand over a connection, has one thread, or does not say how
    many it has while no number is set: then connections could take all of them, and no page would be answered.
    """
    of_development, threads = "werkzeug.socket" in environ, environ.get(THREADS)
    if not environ.get("wsgi.multithread") or not (of_development or "gunicorn.socket" in environ):
        raise LiveUpdatesUnavailable("no socket, or one thread", reason="server", retry_after=60)
    if threads is not None:
        return int(threads) // 2 if wanted < 0 else min(wanted, int(threads) - 1)
    if wanted < 0 and not of_development:
        raise LiveUpdatesUnavailable("an unknown number of threads", reason="server", retry_after=60)
    return _OF_DEVELOPMENT if wanted < 0 else wanted


class LiveConnection:
    """Tells one browser when its session ends or its account changes.

    `keep` keeps the seat of the connection, `serving` says whether the server goes on.
    """

    def __init__(
        self,
        app: Flask,
        services: Services,
        waiting: Waiting,
        keep: Callable[[], object],
        serving: Callable[[], bool],
    ) -> None:
        self._app = app
        self._services = services
        self._waiting = waiting
        self._keep = keep
        self._serving = serving
        self._told: dict[str, str] | None = None
        self._due = self._end = 0.0  # of the monotonic clock: the next ping, and when the session may have ended

    def follow(self, environ: dict[str, Any], tag: str) -> str:
        """Take the connection over and follow the session of an account (`tag`) until either ends.

        Return the name of the server's way to hand it over.
        """
        ws = _accept(environ, self._waiting.wake)  # what arrives, and the end, wake this thread
        spare = _duplicate(ws.sock)
        code, reason = RESTART, ""
        try:
            code, reason = self._follow(ws, tag)
        except (ConnectionClosed, OSError):
            pass  # the browser has gone
        finally:
            _close(ws, spare, code, reason)
        return str(ws.mode)

    def _follow(self, ws: Server, tag: str) -> tuple[int, str]:
        wake = self._waiting.wake
        self._due = time.monotonic() + PING_SECONDS
        self._waiting.changed = False
        look = True  # what happened since the page was made, and before this connection was known, woke nobody
        while ws.connected:
            if look:
                try:
                    ended = self._look(ws, tag)
                except StoreUnavailable:
                    return UNAVAILABLE, "store_unavailable"
                if ended is not None:
                    return ENDED, ended
            look = wake.wait(max(0.0, min(_TICK, self._due - time.monotonic(), self._end - time.monotonic())))
            wake.clear()
            if ws.connected and ws.receive(timeout=0) is not None:
                return NOT_EXPECTED, "This connection only speaks."
            if self._waiting.stopped or not self._serving():
                return RESTART, ""
            now = time.monotonic()
            if now >= self._due:
                self._due = now + PING_SECONDS
                _send(ws, type="ping")
                look = True  # in case an announcement was lost
                with contextlib.suppress(StoreUnavailable):
                    self._keep()
            look = look or now >= self._end
        return RESTART, ""

    def _look(self, ws: Server, tag: str) -> str | None:
        """Read the session without keeping it alive, and tell the browser what is new.

        Return why it ended, or `None`.
        """
        changed, self._waiting.changed = self._waiting.changed, False
        # A context for each look: what `role_for` takes from a pool of the application goes back at once.
        with self._app.app_context():
            found = self._services.repository.load_handle(tag, self._waiting.handle, "never")
            if isinstance(found, EndedSession):
                return found.reason
            state = state_of(found, self._services.privileges_of(found))
            self._waiting.tags = tags_of(self._services, found)
        # Other requests keep the session alive; then there is nothing to see at this time, but another one.
        left = min(found.idle_expires_at, found.absolute_expires_at) - found.now
        self._end = time.monotonic() + max(left / 1000, 0.1) + 0.05
        if state != self._told:
            self._told = state
            _send(ws, type="state", state=state)
        if changed:
            _send(ws, type="sessions")
        return None


def refuse(environ: dict[str, Any], reason: str) -> str:
    """Take a connection over and close it, since there is no session; return what `follow` does."""
    ws = _accept(environ, threading.Event())
    _close(ws, _duplicate(ws.sock), ENDED, reason)
    return str(ws.mode)


def _accept(environ: dict[str, Any], wake: threading.Event) -> Server:
    ws = Server(
        environ,
        ping_interval=PING_SECONDS,
        max_message_size=_LARGEST_FRAME,
        event_class=lambda: wake,
        thread_class=partial(threading.Thread, daemon=True),
    )
    ws.sock.settimeout(_SEND_SECONDS)  # a browser that never reads must not hold a thread
    return ws


def tags_of(services: Services, live: LoadedSession) -> frozenset[str]:
    """Return the tags of all accounts of a session's user."""
    from ...sign_in.accounts import stored

    user = services.user(stored(live.record.account), live.account_values)
    return frozenset({live.keys.tag, *(account_tag(str(each)) for each in user.accounts)})


def _send(ws: Server, **message: Any) -> None:
    ws.send(json.dumps(message, separators=(",", ":")))


def _duplicate(sock: socket.socket) -> socket.socket | None:
    try:
        return sock.dup()
    except (NotImplementedError, OSError):  # TLS without a proxy
        return None


def _close(ws: Server, spare: socket.socket | None, code: int, reason: str) -> None:
    """Close a connection, and let its code arrive: closing with data unread resets it."""
    with contextlib.suppress(Exception):  # whatever state the other side has left the protocol in
        ws.close(code, reason[:120])
    if spare is not None:
        with contextlib.suppress(OSError):
            spare.shutdown(socket.SHUT_WR)
            spare.settimeout(_LINGER_SECONDS)
            until, left = time.monotonic() + _LINGER_SECONDS, _LINGER_BYTES
            while time.monotonic() < until and left > 0 and (read := len(spare.recv(65536))):
                left -= read
    with contextlib.suppress(OSError):
        (spare or ws.sock).shutdown(socket.SHUT_RDWR)
    ws.thread.join(1.0)
    if spare is not None:
        spare.close()
