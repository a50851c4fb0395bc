"""What open connections of live updates cost: pages beside them, revocations, memory and processor time.

Starts a private Redis and gunicorn with one process, opens the connections one by one, each of a session and an
account of its own, and measures with few of them and with all. Prints a Markdown table. Run with `make live`, or name
the numbers: `python -m benchmarks.live 1 1000`. All traffic stays on this machine.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import resource
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sessions_core.sessions.record import LoadedSession
from sessions_core.sign_in import accounts
from sessions_core.web.services import Services

from .scale import URL, Server, create_app, fill, quantiles
from .servers import gunicorn
from .subjects import ORIGIN

SIZES = (100, 1_000)  # enough of each for a 99th percentile
REQUESTS, REVOCATIONS, REST_SECONDS = 2_000, 500, 20
EVENTS = "/api/auth/sessions/events"
_CLOSE, _PING, _PONG = 8, 9, 10  # opcodes of frames


class Connection:
    """A browser's end of one WebSocket: answers pings, and notes why it was closed."""

    def __init__(self, port: int, cookie: str) -> None:
        self.told = b""  # code and reason of the end
        self.ended = threading.Event()
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._file = self.socket.makefile("rb", buffering=0)
        self.socket.sendall(
            f"GET {EVENTS} HTTP/1.1\r\nHost: {ORIGIN.partition('//')[2]}\r\nOrigin: {ORIGIN}\r\nCookie: {cookie}\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        status = self._file.readline().decode().strip()
        while self._file.readline().strip():
            pass
        if " 101 " not in status:
            raise RuntimeError(f"No connection: {status}")
        self.read()  # the state: from now on the connection follows its session

    def read(self) -> None:
        """Read one frame."""
        first, length = self._bytes(2)
        if length == 126:
            length = int.from_bytes(self._bytes(2), "big")
        content = self._bytes(length)
        if first & 15 == _PING:
            self.socket.sendall(bytes([0x80 | _PONG, 0x80 | length]) + bytes(4) + content)  # masked with zeros
        elif first & 15 == _CLOSE:
            self.told = content
            self.ended.set()

    def _bytes(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            piece = self._file.read(length - len(found))
            if not piece:
                raise ConnectionError("The server broke off")
            found += piece
        return found


@contextlib.contextmanager
def listening(connections: list[Connection]) -> Iterator[None]:
    """Read what comes over the connections, in a thread, and close them at the end."""
    over = False
    with selectors.DefaultSelector() as selector:
        for each in connections:
            selector.register(each.socket, selectors.EVENT_READ, each)

        def listen() -> None:
            while not over:
                for key, _ in selector.select(0.1):
                    key.data.read()
                    if key.data.ended.is_set():
                        selector.unregister(key.fileobj)

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield
        finally:
            over = True
            thread.join()
    for each in connections:
        each.socket.close()


class Process(NamedTuple):
    """The process of gunicorn that has the connections."""

    pid: int

    @classmethod
    def find(cls) -> Process:
        """Return the process that a child of this one has started."""
        for child in _children(os.getpid()):
            if b"gunicorn" in Path(f"/proc/{child}/cmdline").read_bytes():
                return cls(_children(child)[0])
        raise RuntimeError("gunicorn does not run")

    @property
    def memory(self) -> int:
        """Its own memory, in bytes."""
        fields = Path(f"/proc/{self.pid}/statm").read_text().split()
        return int(fields[1]) * resource.getpagesize()

    @property
    def processor(self) -> float:
        """The seconds of processor time that it has taken."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _children(pid: int) -> list[int]:
    return [int(each) for path in Path(f"/proc/{pid}/task").glob("*/children") for each in path.read_text().split()]


def measure(services: Services, sessions: list[LoadedSession]) -> dict[str, str]:
    """Return what is measured with one connection for each of these sessions; most of the sessions end."""
    count = len(sessions)
    name = services.store.cookie_name
    cookies = [f"{name}={live.id}" for live in sessions]
    threads = str(2 * count + 16)
    options = ["--workers", "1", "--threads", threads, "--worker-connections", str(2 * count + 200)]
    options += ["--worker-class", "sessions_core.parts.operations.gunicorn_worker.Worker", "--no-control-socket"]
    with gunicorn(*options, "benchmarks.scale:create_app()", **{URL: os.environ[URL]}) as origin:
        port = int(origin.rpartition(":")[2])
        process = Process.find()
        pages(port, cookies[0], 200)
        before = process.memory
        began = time.perf_counter()
        open_ones = [Connection(port, cookie) for cookie in cookies]
        took = time.perf_counter() - began
        memory = (process.memory - before) / count
        with listening(open_ones):
            rest = process.processor
            time.sleep(REST_SECONDS)
            rest = (process.processor - rest) / REST_SECONDS
            page, slowest_page = pages(port, cookies[0], REQUESTS)
            median, slowest = revocations(services, sessions, open_ones)
    return {
        "opened in": f"{took:.1f} s",
        "memory of a connection": f"{memory / 1024:,.0f} kB",
        "processor at rest": f"{rest:.1%}",
        "a page, p50 / p99": f"{page:.1f} / {slowest_page:.1f} ms",
        "revocation until the browser is told, p50 / p99": f"{median:.1f} / {slowest:.1f} ms",
    }


def pages(port: int, cookie: str, count: int) -> tuple[float, float]:
    """Return median and 99th percentile of a page of a session, in milliseconds."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(_: int) -> None:
        client.request("GET", "/", headers={"Host": ORIGIN.partition("//")[2], "Cookie": cookie})
        answer = client.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"A page was answered with {answer.status}")

    found = quantiles(ask, count)
    client.close()
    return found


def revocations(
    services: Services, sessions: list[LoadedSession], connections: list[Connection]
) -> tuple[float, float]:
    """Revoke sessions, one after the other; return the times until each browser was told, in milliseconds."""

    def revoke(number: int) -> None:
        record = sessions[number].record
        services.lifecycle.revoke_handle(accounts.parse(record.account), record.handle, "revoked")
        connection = connections[number]
        if not connection.ended.wait(30) or not connection.told.endswith(b"revoked"):
            raise RuntimeError(f"The browser was told {connection.told!r}")

    return quantiles(revoke, min(REVOCATIONS, len(sessions)))


def main() -> int:
    """Measure and print."""
    sizes = sorted({int(word) for word in sys.argv[1:]} or set(SIZES))
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory(prefix="live") as directory:
        server = Server(Path(directory))
        server.start()
        os.environ[URL] = server.url
        try:
            services: Services = create_app().extensions["sessions_core"]
            columns, filled = [], 0
            for size in sizes:
                columns.append(measure(services, fill(services, filled, filled + size)))
                filled += size
        finally:
            server.stop()
    print("| connections |", " | ".join(f"{size:,}" for size in sizes), "|")
    print("| --- |" + " --- |" * len(sizes))
    for name in columns[0]:
        print(f"| {name} |", " | ".join(column[name] for column in columns), "|")
    return 0


if __name__ == "__main__":
    sys.exit(main())
