"""The demo as README starts it: it says when it is ready, answers, and leaves no process behind, however it ends."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import psutil
import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from sessions_core.storage import embedded

from .actors import Wallet, together
from .servers import hearing_signals
from .test_metrics import Numbers, read

ROOT = Path(__file__).parent.parent
BIN = Path(sys.prefix) / "bin"
PATIENCE = 20


class Running:
    """A server under test, with all the processes that belong to it."""

    def __init__(self, process: subprocess.Popen[str], port: int, temporary: Path) -> None:
        self.process = process
        self.port = port
        self.temporary = temporary
        self.family: list[psutil.Process] = []
        self.ready = ""

    def wait_until(self, words: str) -> None:
        """Read what it prints until `words` come."""
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        said = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said.append(line)
            if words in line:
                self.ready = line.strip()
                break
        watchdog.cancel()
        assert self.ready, "".join(said)
        self.look()

    def look(self) -> None:
        """Note which processes belong to it."""
        parent = psutil.Process(self.process.pid)
        self.family = [parent, *parent.children(recursive=True)]

    def wait_for_workers(self) -> None:
        """Ask until both workers are there."""
        deadline = time.monotonic() + PATIENCE
        while len(self.named("gunicorn")) < 3:
            assert self.ask("GET", "/")[0] == 200
            self.look()
            assert time.monotonic() < deadline, self.family

    def named(self, name: str) -> list[psutil.Process]:
        return [each for each in self.family if any(name in part for part in each.cmdline()[:2])]

    def demand_gone(self) -> None:
        """Assert that every process of the family has ended."""
        self.process.wait(PATIENCE)  # reap it: what is left of it would count as alive
        alive, deadline = self.family, time.monotonic() + PATIENCE
        while alive and time.monotonic() < deadline:
            _, left = psutil.wait_procs(alive, timeout=0.1)
            # Whoever adopts an orphan may be slow to reap it, or, as the first process of a container, never do it.
            alive = [each for each in left if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
        assert alive == []

    def sign_in(self, wallet: Wallet) -> str:
        """Sign in as a browser does, each request on a connection of its own; return the cookies."""
        _, headers, page = self.ask("GET", "/sign-in")
        cookies = _cookies(headers)
        token = re.search(rb'name="csrf_token" value="([^"]+)"', page)
        assert token
        asked = {"Content-Type": "application/json", "Cookie": cookies}
        body = json.dumps({"account": wallet.account()})
        challenge = json.loads(self.ask("POST", "/api/auth/challenges", body=body, headers=asked)[2])["data"]
        form = {"message": challenge["message"], "challenge": challenge["challenge"], "csrf_token": token[1].decode()}
        form["signature"] = wallet.sign(challenge["message"])
        sent = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies}
        status, headers, _ = self.ask("POST", "/sign-in", body=urlencode(form), headers=sent)
        assert status == 303
        return f"{cookies}; {_cookies(headers)}"

    def numbers(self) -> Numbers:
        """What Prometheus reads, from whichever worker answers."""
        return read(self.ask("GET", "/metrics")[2])

    def ask(self, method: str, path: str, **options: object) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE)
        connection.request(method, path, **options)  # type: ignore[arg-type]
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response.status, response.headers, body


def _cookies(headers: http.client.HTTPMessage) -> str:
    jar = SimpleCookie("; ".join(each.partition(";")[0] for each in headers.get_all("Set-Cookie", [])))
    return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that the developer's own instance folder is left alone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("app.py", "config.py", "gunicorn.conf.py", "Makefile"):
        shutil.copy(ROOT / name, folder)
    for name in ("sessions_core", "templates", "static", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def start(checkout: Path) -> Iterator[Callable[[list[str], str], Running]]:
    started: list[Running] = []
    sockets = tempfile.mkdtemp(prefix="ws-")  # the path of a socket must be short

    def run(command: list[str], words: str) -> Running:
        port = _free_port()
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        process = subprocess.Popen(
            hearing_signals(command),
            cwd=checkout,
            env=kept | {"PORT": str(port), "TMPDIR": sockets, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        running = Running(process, port, Path(sockets))
        started.append(running)
        running.wait_until(words.format(port=port))
        return running

    yield run
    for running in started:
        for process in running.family or [psutil.Process(running.process.pid)]:
            if process.is_running():
                process.kill()
        running.process.wait(PATIENCE)
        if running.process.stdout is not None:
            running.process.stdout.close()
    shutil.rmtree(sockets, ignore_errors=True)


MAKE_RUN = ["make", "-o", ".venv/run-installed", "run"]
GUNICORN = [str(BIN / "gunicorn")]


def test_make_run_announces_readiness_and_stops_cleanly(
    start: Callable[[list[str], str], Running],
) -> None:
    """It answers requests, and Ctrl-C leaves no process."""
    server = start(MAKE_RUN, "Ready:")
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


def test_kill_9_of_the_server_leaves_no_process(start: Callable[[list[str], str], Running]) -> None:
    server = start(GUNICORN, "Ready:")
    server.wait_for_workers()
    assert server.named(Path(embedded.binary()).name)
    server.process.kill()
    server.demand_gone()


def test_sigterm_leaves_no_process(start: Callable[[list[str], str], Running]) -> None:
    server = start(GUNICORN, "Ready:")
    server.wait_for_workers()
    server.process.terminate()
    server.demand_gone()
    assert server.process.returncode == 0


def test_metrics_of_two_workers_match_the_requests(start: Callable[[list[str], str], Running]) -> None:
    server = start(GUNICORN, "Ready:")
    server.wait_for_workers()
    (folder,) = server.temporary.glob("wallet-sessions-metrics-*")

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
def test_flask_s_own_server_works_too(start: Callable[[list[str], str], Running], command: list[str]) -> None:
    if "{port}" in command:
        command = ["sh", "-c", " ".join(command).replace("{port}", "$PORT")]
    server = start(command, "Running on http://localhost:{port}")
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


def test_hostile_bytes_on_the_wire_get_a_refusal_and_never_a_5xx(start: Callable[[list[str], str], Running]) -> None:
    server = start(GUNICORN, "Ready:")
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
