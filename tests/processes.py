"""Servers that run as processes of their own, as the README starts them."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import psutil

from .actors import Wallet
from .constants import PATIENCE
from .metric_samples import Numbers, read

BIN = Path(sys.prefix) / "bin"
Ask = Callable[..., tuple[int, http.client.HTTPMessage, bytes]]


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
        """Sign in as a browser does; return the cookies."""
        return sign_in(self.ask, wallet)

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


def sign_in(ask: Ask, wallet: Wallet) -> str:
    """Sign in as a browser does, each request on a connection of its own; return the cookies."""
    _, headers, page = ask("GET", "/sign-in")
    cookies = _cookies(headers)
    token = re.search(rb'name="csrf_token" value="([^"]+)"', page)
    assert token
    asked = {"Content-Type": "application/json", "Cookie": cookies}
    body = json.dumps({"account": wallet.account()})
    challenge = json.loads(ask("POST", "/api/auth/challenges", body=body, headers=asked)[2])["data"]
    form = {"message": challenge["message"], "challenge": challenge["challenge"], "csrf_token": token[1].decode()}
    form["signature"] = wallet.sign(challenge["message"])
    sent = {"Content-Type": "application/x-www-form-urlencoded", "Cookie": cookies}
    status, headers, _ = ask("POST", "/sign-in", body=urlencode(form), headers=sent)
    assert status == 303
    return f"{cookies}; {_cookies(headers)}"


def _cookies(headers: http.client.HTTPMessage) -> str:
    jar = SimpleCookie("; ".join(each.partition(";")[0] for each in headers.get_all("Set-Cookie", [])))
    return "; ".join(f"{name}={morsel.value}" for name, morsel in jar.items())
