"""The servers of the tests end cleanly, and hear what they are told, however the suite was started."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading

import pytest

from ..evm.nodes import Stranger, http
from ..servers import hearing_signals


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM])
def test_started_processes_receive_signals(which: signal.Signals) -> None:
    """Also in `make test &` of a script, where SIGINT is ignored and children inherit that."""
    before = signal.signal(which, signal.SIG_IGN)
    try:
        command = hearing_signals([sys.executable, "-c", "print(flush=True); import sys; sys.stdin.read()"])
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
            assert started.stdout is not None
            started.stdout.readline()
            started.send_signal(which)
            assert started.wait(timeout=20) in (
                -which,
                1,
            )  # Python ends by Ctrl-C with a traceback, and by the signal
    finally:
        signal.signal(which, before)


def test_a_node_that_still_talks_ends_without_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    talking = threading.Event()

    def speak(connection: socket.socket, _: object) -> None:
        while True:
            connection.sendall(http(b"again"))
            talking.set()

    with Stranger(speak) as node, socket.create_connection(("127.0.0.1", node.port)) as client:
        client.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        assert talking.wait(20)
    assert not any(thread.is_alive() for thread in node._serving)
    assert failures == []
