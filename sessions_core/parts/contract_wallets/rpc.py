"""JSON-RPC with the nodes that the settings name. Nodes are not trusted: every part of their answers has a limit.

The standard library's client does only what is needed: it follows no redirect, uses no proxy of the environment, and
repeats nothing. But its timeouts apply to a single read, and a node that sends a byte a second would block a worker
for days. So each read waits at most for the rest of the total time, and counts the bytes that arrive.
"""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import time
from contextlib import ExitStack
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from .errors import RpcUnavailable

_MOST = 64 * 1024  # bytes of all answers together, their headers included
_MOST_ANSWER = 16 * 1024
_MOST_BRACKETS = 100  # in one answer; see `web.request_body`
NODE_ERROR = "error"
"""What the evidence of `RpcUnavailable` begins with if the node itself reported one, and before its number."""
_HEADERS = {"Content-Type": "application/json", "User-Agent": "sessions-core"}


class Node:
    """A node at the other end of one connection, for `seconds` in all. Use it in `with`.

    The time limit does not cover the look-up of its name, which takes as long as the system's resolver allows. No
    error contains the URL, which may contain a key.
    """

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._connection = _Connection(str(parts.hostname), parts.port, parts.scheme == "https", seconds)
        self._asked = 0

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.end()

    def ask(self, method: str, *params: object) -> str:
        """Return the result of a method whose result is a string.

        Raises `RpcUnavailable` for everything else: no node, no time left, no answer, one that is too long, another
        status than 200, an error that the node reports.
        """
        self._asked += 1
        call = json.dumps({"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params})
        try:
            self._connection.request("POST", self._target, call.encode(), _HEADERS)
            response = self._connection.getresponse()
            if response.status != 200:
                raise unavailable(method, f"status {response.status}")
            body = response.read(_MOST_ANSWER + 1)
            if response.length or len(body) > _MOST_ANSWER:
                raise ValueError("an answer that is too long, or cut off")
            return _result(method, body, self._asked)
        except (OSError, http.client.HTTPException, msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise unavailable(method, f"{type(error).__name__} {error}"[:200]) from error


class _Error(msgspec.Struct):
    code: int


class _Answer(msgspec.Struct):
    id: int
    result: str | None = None
    error: _Error | None = None


def _result(method: str, body: bytes, number: int) -> str:
    if body.count(b"[") + body.count(b"{") > _MOST_BRACKETS:
        raise ValueError("an answer that is nested too deeply")
    answer = msgspec.json.decode(body, type=_Answer)
    if answer.error is not None:
        raise unavailable(method, f"{NODE_ERROR} {answer.error.code}")
    if answer.id != number or answer.result is None:
        raise ValueError("an answer to something else")
    return answer.result


def unavailable(*evidence: str, retry_after: int = 5) -> RpcUnavailable:
    """Return the error that says so; `retry_after` is in seconds."""
    return RpcUnavailable(*evidence, retry_after=retry_after)


class _Connection(http.client.HTTPConnection):
    """The library's, over sockets that have `seconds` in all. It connects once more if the node hangs up between."""

    def __init__(self, host: str, port: int | None, encrypted: bool, seconds: float) -> None:
        self.default_port = http.client.HTTPS_PORT if encrypted else http.client.HTTP_PORT
        super().__init__(host, port or self.default_port)
        self._encrypted = encrypted
        self._budget = _Budget(seconds, _MOST)
        self._open = ExitStack()

    def connect(self) -> None:
        plain = self._open.enter_context(_reach(self.host, self.port, self._budget))
        if self._encrypted:
            plain.settimeout(self._budget.left())
            plain = self._open.enter_context(_trust().wrap_socket(plain, server_hostname=self.host))
        self.sock = cast(Any, _Limited(plain, self._budget))

    def end(self) -> None:
        """Close every socket, whatever is still on its way."""
        self.close()
        self._open.close()


class _Budget:
    """The remaining time and bytes."""

    def __init__(self, seconds: float, most: int) -> None:
        self._until = time.monotonic() + seconds
        self._bytes = most

    def left(self) -> float:
        """Return the seconds that are left; raise `TimeoutError` when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time")
        return left

    def take(self, count: int) -> None:
        """Spend bytes; raise `ValueError` when there were fewer."""
        self._bytes -= count
        if self._bytes < 0:
            raise ValueError("too much")


class _Limited:
    """What `http.client` uses of a socket. `_Connection.end` closes it: the library does so before it has read."""

    def __init__(self, plain: socket.socket, budget: _Budget) -> None:
        self._plain = plain
        self._budget = budget

    def sendall(self, data: bytes) -> None:
        self._plain.settimeout(self._budget.left())
        self._plain.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Arriving(self._plain, self._budget))

    def close(self) -> None:
        pass


class _Arriving(io.RawIOBase):
    """What comes in at a socket, as long as the budget lasts."""

    def __init__(self, plain: socket.socket, budget: _Budget) -> None:
        self._plain = plain
        self._budget = budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._plain.settimeout(self._budget.left())
        count = self._plain.recv_into(buffer)
        self._budget.take(count)
        return count


def _reach(host: str, port: int, budget: _Budget) -> socket.socket:
    # Not `socket.create_connection`: it gives each address of the host the whole of the time.
    failure: OSError = OSError("the host has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(budget.left())
            plain.connect(address)
            plain.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
            )  # the library sends head and body apart: 40 ms
        except OSError as error:
            plain.close()
            failure = error
        else:
            return plain
    raise failure


@cache
def _trust() -> ssl.SSLContext:
    # 15 ms to read the certificates of this machine.
    return ssl.create_default_context()
