"""The production application of docs/integrate.md: started with the lines that stand there, and signed in to."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from ... import documented
from ...actors import Wallet
from ...servers import free_port, hearing_signals

ROOT, BIN = documented.ROOT, Path(sys.prefix) / "bin"
HOST = "app.example.org"
# What the documented proxy sets.
PROXIED = {"Host": HOST, "X-Forwarded-Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7"}


def test_documented_application_is_the_example() -> None:
    example = (ROOT / "examples" / "production" / "app.py").read_text()
    assert documented.blocks("integrate.md", "Production", "python") == [example]


class Site:
    """The application in a folder that holds it and the copied package, and nothing else of the repository."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder, self.port = folder, free_port()
        shutil.copytree(
            ROOT / "sessions_core", folder / "sessions_core", ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(ROOT / "examples/production/app.py", folder)
        (lines,) = documented.blocks("integrate.md", "Production", "sh")
        for written, here in (
            ("127.0.0.1:8000", f"127.0.0.1:{self.port}"),
            ("rediss://redis.internal:6379/0", redis_url),
        ):
            assert written in lines
            lines = lines.replace(written, here)
        exports, command = lines.rsplit("\ngunicorn ", 1)
        self._exports = exports
        self._process = self._sh(
            f"{exports}\necho $FLASK_SECRET_KEY > secret\nexec gunicorn --log-level info {command}"
        )
        self._wait()

    def _sh(self, script: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            hearing_signals(["sh", "-c", script]),
            cwd=self.folder,
            env={"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _wait(self) -> None:
        said = []
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said.append(line)
            if "Booting worker" in line:
                return
        raise AssertionError("".join(said))

    def flask(self, *command: str) -> str:
        """Run a command in the same environment, with the secret of the server."""
        exports = "\n".join(line for line in self._exports.splitlines() if "SECRET_KEY" not in line)
        script = f"{exports}\nexport FLASK_SECRET_KEY=$(cat secret)\nflask --app app {' '.join(command)}"
        done = self._sh(script)
        said, _ = done.communicate(timeout=60)
        assert done.returncode == 0, said
        return said

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        sent = None if body is None else json.dumps(body)
        kind = {"Content-Type": "application/json"} if sent else {}
        connection.request(method, path, sent, PROXIED | kind | headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, answer.headers, text

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=20)


@pytest.fixture
def site(tmp_path: Path, redis_url: str, redis: Redis) -> Iterator[Site]:
    site = Site(tmp_path, redis_url)
    yield site
    site.stop()


def test_documented_production_signs_in(site: Site, wallet: Wallet) -> None:
    status, headers, _ = site.ask("GET", "/")
    assert (status, headers["Location"]) == (303, "/sign-in?next=/")
    status, headers, page = site.ask("GET", "/sign-in")
    assert status == 200
    assert "__Host-browser" in headers["Set-Cookie"]
    assert headers["Strict-Transport-Security"]
    assert "Try it without a wallet" not in page, "it runs in development"
    status, _, text = site.ask("POST", "/api/auth/challenges", {"account": wallet.account()})
    assert status == 201, text
    data = json.loads(text)["data"]
    assert data["message"].startswith(f"{HOST} wants you to sign in")
    body = {"message": data["message"], "challenge": data["challenge"]}
    status, _, text = site.ask(
        "POST", "/api/auth/sessions", body, Authorization=f"Bearer {wallet.sign(data['message'])}"
    )
    assert status == 201, text
    token = json.loads(text)["data"]["session_token"]
    status, _, text = site.ask("GET", "/", Authorization=f"Bearer {token}")
    assert (status, text) == (200, f"Hello {wallet.address}")
    (session,) = json.loads(site.flask("sessions", "list", "--json"))
    assert (session["account"], session["ip"]) == (wallet.account(), "198.51.100.7")
    said = site.flask("keys", "rotate", "2>/dev/null")
    assert said.startswith("FLASK_SECRET_KEY=")
    assert "FLASK_SECRET_KEY_FALLBACKS='[" in said
