"""A browser's end of the WebSocket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websocket import ABNF, WebSocket, WebSocketConnectionClosedException, create_connection

from ...actors import ORIGIN, SESSION_COOKIE
from ...constants import PATIENCE

PATH = "/api/auth/sessions/events"


class Socket:
    """An open connection, and what came over it."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket

    def hear(self, kind: str) -> dict[str, Any]:
        """Return the next message of a kind; the connection must not close before."""
        while True:
            message = self.next()
            assert isinstance(message, dict), message
            if message["type"] == kind:
                return message

    def next(self) -> dict[str, Any] | tuple[int, str]:
        """Return the next message, or code and reason of the end."""
        while True:
            code, data = self.socket.recv_data(control_frame=True)
            if code == ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big"), data[2:].decode()
            if code == ABNF.OPCODE_TEXT:
                found: dict[str, Any] = json.loads(data)
                return found

    def end(self) -> tuple[int, str]:
        """Wait for the end; return its code and reason."""
        while True:
            message = self.next()
            if isinstance(message, tuple):
                return message

    @property
    def open(self) -> bool:
        """Whether the server still answers a ping."""
        try:
            self.socket.ping("there?")
            while True:
                code, _ = self.socket.recv_data(control_frame=True)
                if code in (ABNF.OPCODE_PONG, ABNF.OPCODE_CLOSE):
                    return bool(code == ABNF.OPCODE_PONG)
        except (OSError, WebSocketConnectionClosedException):
            return False


@contextmanager
def connected(port: int, cookies: str | None, origin: str | None = ORIGIN, **options: Any) -> Iterator[Socket]:
    """Connect with cookies as a browser does; raises `WebSocketBadStatusException` if the server refuses."""
    host = ORIGIN.partition("//")[2]
    socket = create_connection(
        f"ws://127.0.0.1:{port}{PATH}",
        timeout=PATIENCE,
        cookie=cookies,
        origin=origin,
        host=options.pop("host", host),
        suppress_origin=origin is None,
        **options,
    )
    try:
        yield Socket(socket)
    finally:
        socket.shutdown()


def cookie(session_id: str) -> str:
    """Return the header of a browser with this session."""
    return f"{SESSION_COOKIE}={session_id}"
