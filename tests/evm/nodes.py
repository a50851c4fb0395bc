"""Strangers in the place of a node: HTTP servers on the loopback interface that do what a test says, and count."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..servers import Listener
from . import Anvil

Call = dict[str, Any]
Speak = Callable[[socket.socket, Call], None]


class Stranger(Listener):
    """A server that hears each call out, and then leaves the rest to `speak`."""

    def __init__(self, speak: Speak, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._speak = speak
        self._tls = tls
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/"
        self.calls: list[Call] = []
        self.heads: list[str] = []

    def _converse(self, connection: socket.socket) -> None:
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True)
            self._open.append(connection)
        for head, body in _requests(connection):
            self.heads.append(head)
            self.calls.append(json.loads(body))
            self._speak(connection, self.calls[-1])

    @property
    def methods(self) -> list[str]:
        return [call["method"] for call in self.calls]


def _requests(connection: socket.socket) -> Iterator[tuple[str, bytes]]:
    seen = b""
    while True:
        while b"\r\n\r\n" not in seen:
            seen += (piece := connection.recv(65536))
            if not piece:
                return
        head, _, seen = seen.partition(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(seen) < size:
            seen += connection.recv(65536)
        yield head.decode(), seen[:size]
        seen = seen[size:]


def http(body: bytes, status: str = "200 OK", headers: str = "Content-Type: application/json\r\n") -> bytes:
    """An answer with its length."""
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


def result(call: Call, value: Any) -> bytes:
    """The answer to a call."""
    return http(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": value}).encode())


def says(body: bytes, **options: str) -> Speak:
    """Answer every call with these bytes."""
    return lambda connection, call: connection.sendall(http(body, **options))


def tells(**results: Any) -> Speak:
    """Answer each method with its result: `tells(eth_chainId="0x7a69")`."""
    return lambda connection, call: connection.sendall(result(call, results[call["method"]]))


class Relay(Stranger):
    """Somebody else's address of a real node, which can be out of reach, or wait, and counts what it is asked."""

    def __init__(self, node: Anvil) -> None:
        super().__init__(self._pass_on)
        self._node = node
        self.down = False
        self.gate = threading.Event()  # while it is shut, calls are heard and not answered
        self.gate.set()

    def __exit__(self, *error: object) -> None:
        self.gate.set()  # who still waits there would keep the rest from ending
        super().__exit__(*error)

    def _pass_on(self, connection: socket.socket, call: Call) -> None:
        assert self.gate.wait(20)
        if self.down:
            connection.sendall(http(b"", status="503 Service Unavailable"))
        else:
            connection.sendall(result(call, self._node.ask(call["method"], *call["params"])))

    @property
    def asked(self) -> int:
        """How often it was asked about a contract."""
        return self.methods.count("eth_call")
