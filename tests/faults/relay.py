"""A Unix socket in front of Redis that can keep answers to itself: a slow network, or a worker killed too early."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sessions_core.storage.connection import Script

KEEP, PASS = "keep", "pass"
_PEERS = struct.Struct("3i")


class RedisRelay:
    """Passes everything on, but for the answers to one script while it is armed.

    The script has run in Redis by then. `on_answer` is told the process that waits for the answer, and says whether
    the answer is kept or passed on.
    """

    def __init__(self, redis_path: str, directory: Path, script: Script) -> None:
        self.path = str(directory / "relay.sock")
        self.armed = threading.Event()
        self.met = 0
        self.on_answer: Callable[[int], str] = lambda pid: KEEP
        self._redis_path = redis_path
        self._mark = script.sha.encode()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        self._open: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._redis_path)
            self._open += [client, server]
            thread = threading.Thread(target=self._pass, args=(client, server))
            self._threads.append(thread)
            thread.start()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                if client in ready:
                    request = client.recv(1 << 16)
                    if not request:
                        break
                    server.sendall(request)
                    if self._mark in request and self.armed.is_set():
                        server.recv(1 << 16)  # it has run, and has said so
                        self.armed.clear()
                        self.met += 1
                        if self.on_answer(_peer(client)) == KEEP:
                            continue
                if server in ready:
                    answer = server.recv(1 << 16)
                    if not answer:
                        break
                    client.sendall(answer)
        except (OSError, ValueError):
            pass  # one of the two has gone
        finally:
            for each in (client, server):
                each.close()


def kill(pid: int) -> str:
    """End a worker as a machine without memory does, and keep its answer."""
    os.kill(pid, signal.SIGKILL)
    return KEEP


def _peer(client: socket.socket) -> int:
    pid: int = _PEERS.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERS.size))[0]
    return pid
