"""Strangers in the place of a node: HTTP servers on the loopback interface that do what a test says, and count."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from . import Anvil

Call = dict[str, Any]
Speak = Callable[[socket.socket, Call], None]


class Stranger:
    """A server that hears each call out, and then leaves the rest to `speak`."""

    def __init__(self, speak: Speak, tls: ssl.SSLContext | None = None) -> None:
        self._speak = speak
        self._tls = tls
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/"
        self.connections = 0
        self.calls: list[Call] = []
        self.heads: list[str] = []

    def __enter__(self) -> Stranger:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(timeout=5)
        self._socket.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
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
    """Somebody else's address of a real node, which can be out of reach, or slow, and counts what it is asked."""

    def __init__(self, node: Anvil) -> None:
        super().__init__(self._pass_on)
        self._node = node
        self.down = False
        self.seconds = 0.0

    def _pass_on(self, connection: socket.socket, call: Call) -> None:
        time.sleep(self.seconds)
        if self.down:
            connection.sendall(http(b"", status="503 Service Unavailable"))
        else:
            connection.sendall(result(call, self._node.ask(call["method"], *call["params"])))

    @property
    def asked(self) -> int:
        """How often it was asked about a contract."""
        return self.methods.count("eth_call")
