"""gunicorn's thread worker with a limit on how long a request may take to arrive.

    gunicorn --worker-class sessions_core.parts.operations.gunicorn_worker.Worker --threads 16 "app:create_app()"

A thread of `gthread` waits for the rest of a request as long as the client likes, and `timeout` does not apply to it:
as many slow requests as there are threads stop the whole site, health checks included. Here such a connection is
closed for reading after `ARRIVAL_SECONDS`, and while every thread waits like that, after `HURRIED_SECONDS`. A client
can still open the next ones, so production takes a proxy that buffers requests as well (docs/integrate.md).

And a client whose body is too large to be read gets its answer. `gthread` says `Connection: keep-alive` to it, and
closes the connection with what it has not read: the client, still sending, sees a reset in place of the answer.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterable
from math import inf
from threading import Lock
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from ...web import declarations

# Headers and body together. Uploads that take longer need a proxy that buffers them, or a larger number.
ARRIVAL_SECONDS = float(os.environ.get("REQUEST_ARRIVAL_SECONDS") or 10)
HURRIED_SECONDS = min(2.0, ARRIVAL_SECONDS)

SERVING, THREADS = "sessions_core.serving", "sessions_core.threads"

_KEPT = 64 * 1024  # bytes of a body that gunicorn reads after the answer to go on with the connection
_READ = 1024 * 1024  # bytes that are read after the answer, so that the client comes to read it
_READ_SECONDS = 2.0


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """Ends what has not arrived in time; the rest is gunicorn's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, float] = {}  # connections, and when a thread began to read their request
        self._lock = Lock()

    def load_wsgi(self) -> None:
        """Load the application, and have its answers say when the connection will be closed.

        A worker whose application has routes without a declaration does not start, so a bad release takes no request.
        """
        super().load_wsgi()
        declarations.settle(self.wsgi)
        self.wsgi: Callable[..., Iterable[bytes]] = _closing(self.wsgi, lambda: bool(self.alive), self.cfg.threads)

    def handle(self, conn: Any) -> Any:
        """Read a request and answer it, in a thread of the pool."""
        with self._lock:
            self._arriving[conn] = time.monotonic()
        try:
            return super().handle(conn)
        finally:
            self._arrived(conn)

    def handle_request(self, req: Any, conn: Any) -> Any:
        """Call the application. Without a body all has arrived: the answer, or a WebSocket, may take its time."""
        if getattr(req.body.reader, "length", None) == 0:
            self._arrived(conn)
        goes_on = super().handle_request(req, conn)
        if not goes_on:
            _read_on(req.body, conn.sock)
        return goes_on

    def handle_http2(self, conn: Any) -> Any:
        """Serve a connection with many requests; gunicorn limits each of them."""
        self._arrived(conn)
        return super().handle_http2(conn)

    def notify(self) -> None:
        """Close for reading what is late; the main loop calls this once a second at least."""
        super().notify()
        now = time.monotonic()
        with self._lock:
            patience = HURRIED_SECONDS if len(self._arriving) >= self.cfg.threads else ARRIVAL_SECONDS
            for conn in [conn for conn, began in self._arriving.items() if now - began > patience]:
                del self._arriving[conn]
                # The thread that waits reads the end of the stream, and can still answer. Not `conn.sock.shutdown`:
                # that of a TLS socket would send the answer in plain text.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(conn.sock, socket.SHUT_RD)

    def _arrived(self, conn: Any) -> None:
        with self._lock:
            self._arriving.pop(conn, None)


def _read_on(body: Any, sock: socket.socket) -> None:
    """Read what is left of a body, within limits: closing with data unread resets the connection."""
    left, until = _READ, time.monotonic() + _READ_SECONDS
    with contextlib.suppress(Exception):  # whatever is wrong with the rest, the answer is sent
        while left > 0 and (seconds := until - time.monotonic()) > 0:
            sock.settimeout(seconds)
            part = body.read(min(left, _KEPT))
            if not part:
                return
            left -= len(part)


def _closing(
    app: Callable[..., Iterable[bytes]], serving: Callable[[], bool], threads: int
) -> Callable[..., Iterable[bytes]]:
    """Return the application with `Connection: close` in answers to requests whose body gunicorn will not read on.

    Requests that last, such as a WebSocket, find in their environment whether the worker goes on, and how many
    threads it has.
    """

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = start_response.__self__  # type: ignore[attr-defined]  # gunicorn's, which ignores the header

        def start(*arguments: Any) -> Any:
            if _unread(response.req) > _KEPT:
                response.force_close()
            return start_response(*arguments)

        environ[SERVING], environ[THREADS] = serving, threads
        return app(environ, start)

    return call


def _unread(req: Any) -> float:
    reader: Any = getattr(getattr(req, "body", None), "reader", None)
    if hasattr(reader, "length"):
        return float(reader.length)
    # In chunks: how many are still to come is not known, unless the last one is here.
    return 0.0 if getattr(reader, "parser", None) is None else inf
