"""A command whose secret a running server does not know: it must not seal what that server could not open."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from sessions_core.parts.operations import Operations
from sessions_core.parts.operations.server_processes import Servers
from sessions_core.settings import DAY, MINUTE

from ...actors import Visitor, Wallet
from ...constants import ALICE, ANOTHER, PATIENCE, PRODUCTION, REDIS_PREFIX, SECRET
from ...processes import BIN, Running
from ...snapshot import snapshot

Make = Callable[..., Flask]
AT_LOCALHOST = PRODUCTION | {"SESSIONS_CORE_PUBLIC_ORIGIN": "https://localhost", "SESSIONS_CORE_REDIS_CHECK": False}
SEALING = [
    ["sessions", "sweep"],
    ["roles", "grant", ALICE, "admin"],
    ["roles", "revoke", ALICE],
    ["roles", "verify", ALICE, "lic_1", "licensed", "--days", "9"],
    ["roles", "withdraw", ALICE],
]


@pytest.fixture
def server(make_app: Make) -> Flask:
    return make_app(**AT_LOCALHOST)


@pytest.fixture
def rotated_shell(server: Flask, make_app: Make) -> Flask:
    """A shell with a new secret in front, which the server has not been told of."""
    return make_app(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[SECRET])


def run(app: Flask, *command: str) -> tuple[int, str]:
    result = app.test_cli_runner().invoke(args=list(command))
    return result.exit_code, result.output


@pytest.mark.parametrize("command", SEALING, ids=lambda command: " ".join(command[:2]))
def test_unknown_secret_encrypts_nothing(
    server: Flask, rotated_shell: Flask, redis: Redis, wallet: Wallet, command: list[str]
) -> None:
    user = Visitor(server)
    user.site = "https://localhost"
    before = snapshot(redis)
    code, said = run(rotated_shell, *command)
    assert code == 1
    assert "1 server process does not know the secret of this shell" in said
    assert snapshot(redis) == before


def test_force_encrypts_with_an_unknown_secret(rotated_shell: Flask) -> None:
    assert run(rotated_shell, "sessions", "sweep", "--force")[0] == 0
    assert run(rotated_shell, "roles", "grant", ALICE, "admin", "--force")[0] == 0


def test_server_that_was_told_of_the_secret_lets_it_pass(make_app: Make) -> None:
    """In each step of a rotation as docs/integrate.md has it."""
    make_app(**AT_LOCALHOST | {"SECRET_KEY": SECRET, "SECRET_KEY_FALLBACKS": [ANOTHER]})
    make_app(**AT_LOCALHOST | {"SECRET_KEY": ANOTHER, "SECRET_KEY_FALLBACKS": [SECRET]})
    for secret, former in ((ANOTHER, SECRET), (SECRET, ANOTHER)):
        shell = make_app(SECRET_KEY=secret, SECRET_KEY_FALLBACKS=[former])
        assert run(shell, "sessions", "sweep")[0] == 0


def test_note_gives_no_secret_away(server: Flask, redis: Redis) -> None:
    (key,) = redis.keys(f"{REDIS_PREFIX}server:*")
    note = redis.get(key)
    assert SECRET.encode() not in note
    assert len(note) < 100
    assert 0 < redis.ttl(key) <= DAY


def test_request_refreshes_the_server_note_once_a_minute(
    server: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = redis.keys(f"{REDIS_PREFIX}server:*")
    servers: Servers = server.extensions["sessions_core"].part(Operations).servers
    visit = lambda: server.test_client().get("/", base_url="https://localhost").status_code  # noqa: E731
    redis.delete(key)
    assert visit() == 200
    assert redis.exists(key) == 0
    servers._due -= MINUTE
    assert visit() == 200
    assert redis.exists(key) == 1
    servers.forget()
    assert redis.exists(key) == 0


def test_process_that_ends_is_forgotten(
    start_server: Callable[..., Running],
    checkout: Path,
    redis_url: str,
    redis: Redis,
) -> None:
    """Real processes: two workers note the server, a shell does not, and after the end a sweep is free."""
    secret = SECRET.replace(",", "")  # a list in the environment is divided by commas
    environment = {"PUBLIC_ORIGIN": "https://localhost", "REDIS_URL": redis_url, "SESSION_SECRET": secret}

    def sweep(**changes: str) -> subprocess.CompletedProcess[str]:
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        command = [str(BIN / "flask"), "--app", "app", "sessions", "sweep"]
        environ = known | environment | changes
        return subprocess.run(
            command, cwd=checkout, env=environ, capture_output=True, text=True, timeout=60, check=False
        )

    app = start_server(["env", *(f"{k}={v}" for k, v in environment.items()), str(BIN / "gunicorn")], "Ready:")
    assert len(redis.keys(f"{REDIS_PREFIX}server:*")) == 1
    assert sweep().returncode == 0
    assert len(redis.keys(f"{REDIS_PREFIX}server:*")) == 1, "the shell has noted itself as a server"
    rotated = {"SESSION_SECRET": ANOTHER, "SESSION_SECRET_FALLBACKS": secret}
    refused = sweep(**rotated)
    assert refused.returncode == 1
    assert "does not know the secret of this shell" in refused.stderr
    app.process.terminate()
    app.process.wait(PATIENCE)
    assert redis.keys(f"{REDIS_PREFIX}server:*") == []
    assert sweep(**rotated).returncode == 0
