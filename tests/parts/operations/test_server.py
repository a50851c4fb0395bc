"""The demo as README starts it: it says when it is ready, answers, and leaves no process behind, however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from sessions_core.parts.development_redis import embedded

from ...actors import Wallet, together
from ...constants import PATIENCE
from ...processes import BIN, Running

MAKE_RUN = ["make", "-o", ".venv/run-installed", "run"]
GUNICORN = [str(BIN / "gunicorn")]


def test_make_run_announces_readiness_and_stops_cleanly(
    start_server: Callable[[list[str], str], Running],
) -> None:
    server = start_server(MAKE_RUN, "Ready:")
    assert server.ready == f"Ready: http://localhost:{server.port}"
    server.wait_for_workers()
    assert len(server.named(Path(embedded.binary()).name)) >= 1
    status, headers, body = server.ask("GET", "/")
    assert status == 200
    assert b"Sign in" in body
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, _, body = server.ask(
        "POST",
        "/api/auth/challenges",
        body=json.dumps({"account": "eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}),
        headers={"Content-Type": "application/json"},
    )
    assert status == 201
    assert f"http://localhost:{server.port} wants you to sign in" in json.loads(body)["data"]["message"]
    os.killpg(server.process.pid, signal.SIGINT)  # what Ctrl-C does: to all in the foreground
    server.demand_gone()


def test_kill_9_of_the_server_leaves_no_process(start_server: Callable[[list[str], str], Running]) -> None:
    server = start_server(GUNICORN, "Ready:")
    server.wait_for_workers()
    assert server.named(Path(embedded.binary()).name)
    server.process.kill()
    server.demand_gone()


def test_sigterm_leaves_no_process(start_server: Callable[[list[str], str], Running]) -> None:
    server = start_server(GUNICORN, "Ready:")
    server.wait_for_workers()
    server.process.terminate()
    server.demand_gone()
    assert server.process.returncode == 0


def test_metrics_of_two_workers_match_the_requests(
    start_server: Callable[[list[str], str], Running],
) -> None:
    server = start_server(GUNICORN, "Ready:")
    server.wait_for_workers()
    (folder,) = server.temporary.glob("sessions-core-metrics-*")

    def workers_that_counted() -> int:
        created = 0
        for file in folder.glob("counter_*.db"):
            found = MultiProcessCollector.merge([str(file)])
            created += any(sample.labels.get("outcome") == "success" for each in found for sample in each.samples)
        return created

    done = 0
    while workers_that_counted() < 2:
        assert done < 100, "one worker answered everything"
        people = [Wallet() for _ in range(4)]
        cookies = together(*[lambda each=each: server.sign_in(each) for each in people])  # type: ignore[misc]
        done += len(cookies)
    for each in cookies[:3]:
        assert server.ask("POST", "/sign-out", headers={"Cookie": each})[0] == 400  # no token: refused
    expected = {
        ("wallet_sign_ins_total", frozenset({("chain", "eip155:1"), ("outcome", "success")})): done,
        ("wallet_refusals_total", frozenset({("code", "csrf_failed")})): 3,
        ("wallet_revocations_total", frozenset({("reason", "signed_out")})): 0,
        ("wallet_sessions_live", frozenset()): done,
    }
    for _ in range(10):
        numbers = server.numbers()
        assert {key: numbers[key] for key in expected} == expected
    killed = server.named("gunicorn")[1]
    killed.kill()
    killed.wait(PATIENCE)
    numbers = server.numbers()
    assert {key: numbers[key] for key in expected} == expected
    server.process.terminate()
    server.demand_gone()
    assert not folder.exists()


@pytest.mark.parametrize(
    "command",
    [
        [str(BIN / "python"), "app.py"],
        [str(BIN / "flask"), "--app", "app", "run", "--host", "localhost", "--port", "{port}"],
    ],
    ids=["python app.py", "flask run"],
)
def test_flask_s_own_server_works_too(start_server: Callable[[list[str], str], Running], command: list[str]) -> None:
    if "{port}" in command:
        command = ["sh", "-c", " ".join(command).replace("{port}", "$PORT")]
    server = start_server(command, "Running on http://localhost:{port}")
    status, _, body = server.ask("GET", "/sign-in")
    assert status == 200
    assert b"Sign in" in body
    os.killpg(server.process.pid, signal.SIGINT)
    server.demand_gone()


def _raw(port: int, data: bytes) -> bytes:
    """Send bytes as they are, and return the status line."""
    with socket.create_connection(("localhost", port), timeout=PATIENCE) as connection:
        try:
            connection.sendall(data)
            return connection.recv(65_536).partition(b"\r\n")[0]
        except (BrokenPipeError, ConnectionResetError):
            return b"closed"


def test_hostile_bytes_on_the_wire_get_a_refusal_and_never_a_5xx(
    start_server: Callable[[list[str], str], Running],
) -> None:
    server = start_server(GUNICORN, "Ready:")
    host = f"Host: localhost:{server.port}\r\n".encode()
    post = b"POST /api/auth/challenges HTTP/1.1\r\n" + host + b"Content-Type: application/json\r\n"
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    body = b'{"account": "eip155:1:0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}'
    answers = {
        "chunked": (chunked + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), b"201"),
        "chunked and large": (chunked + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 8 + b"0\r\n\r\n", b"413"),
        "a chunk that lies": (chunked + b"zz\r\n", b"400"),
        "two lengths": (post + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + body, b"400"),
        "length and chunks": (
            post + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"400",
        ),
        "a length that is none": (post + b"Content-Length: x\r\n\r\n", b"400"),
        "a huge length": (post + b"Content-Length: 99999999999\r\n\r\n", b"413"),
        "no host": (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        "another host": (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"400"),
        "two hosts": (b"GET / HTTP/1.1\r\n" + host + b"Host: evil.example\r\n\r\n", b"400"),
        "an absolute target": (b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", b"400"),
        "a target with two slashes": (b"GET //evil.example/%2e%2e HTTP/1.1\r\n" + host + b"\r\n", b"404"),
        "an oversized cookie": (
            b"GET /session HTTP/1.1\r\n" + host + b"Cookie: __Host-session=" + b"A" * 20_000 + b"\r\n\r\n",
            b"4",
        ),
        "bytes in a cookie": (b"GET / HTTP/1.1\r\n" + host + b"Cookie: __Host-session=\xff\xfe\r\n\r\n", b"200"),
        "NUL in a header": (b"GET / HTTP/1.1\r\n" + host + b"X: a\0b\r\n\r\n", b"400"),
        "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    }
    for name, (data, expected) in answers.items():
        status = _raw(server.port, data)
        assert status.startswith(b"HTTP/1.1 " + expected), f"{name}: {status!r}"
    assert server.ask("GET", "/")[0] == 200
