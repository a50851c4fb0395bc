"""gunicorn's thread worker with a limit on how long a request may take to arrive.

    gunicorn --worker-class sessions_core.web.gunicorn_worker.Worker --threads 16 "app:create_app()"

A thread of `gthread` waits for the rest of a request as long as the client likes, and `timeout` does not apply to it:
as many slow requests as there are threads stop the whole site, health checks included. Here such a connection is
closed for reading after `ARRIVAL_SECONDS`, and while every thread waits like that, after `HURRIED_SECONDS`. A client
can still open the next ones, so production takes a proxy that buffers requests as well (docs/integrate.md).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from threading import Lock
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

# Headers and body together. Uploads that take longer need a proxy that buffers them, or a larger number.
ARRIVAL_SECONDS = float(os.environ.get("REQUEST_ARRIVAL_SECONDS") or 10)
HURRIED_SECONDS = min(2.0, ARRIVAL_SECONDS)


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn is untyped
    """Ends what has not arrived in time; the rest is gunicorn's."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arriving: dict[Any, float] = {}  # connections, and when a thread began to read their request
        self._lock = Lock()

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
        return super().handle_request(req, conn)

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
