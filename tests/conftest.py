"""What every test stands on: a real private Redis, the real application, and a clock that can be moved."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask import Flask
from jinja2.bccache import BytecodeCache, FileSystemBytecodeCache
from redis import Redis

from app import create_app
from sessions_core import events
from sessions_core.parts.development_redis import embedded
from sessions_core.sessions.lifecycle import Lifecycle
from sessions_core.sessions.record import LoadedSession, SessionRecord
from sessions_core.sessions.repository import SessionRepository
from sessions_core.sign_in.accounts import Account, parse
from sessions_core.web.services import Services

from . import clusters
from .actors import ORIGIN, Visitor, Wallet
from .clusters import Cluster, Sentinels
from .constants import ABSOLUTE, ALICE, ANOTHER, IDLE, PATIENCE, REDIS_PREFIX, ROOT, SECRET
from .evm import Anvil
from .evm.nodes import Relay
from .parts.leaving_out import without_settings
from .processes import Running
from .servers import Server, free_port, hearing_signals, running
from .stored import link_of
from .time_machine import Clock, TimeMachine


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = embedded.start(tmp_path_factory.mktemp("redis"))
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The Redis of all tests, which does not know what secret the last of them had in production."""
    with Redis.from_url(redis_server) as client:
        client.delete(f"{REDIS_PREFIX}secret")
    return redis_server


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url) as client:
        client.flushall()
        yield client


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis of this test alone, fit for production, which it may ruin; a module may override it with another."""
    with running(Server(tmp_path_factory.mktemp("r"), "--appendonly", "yes")) as server:
        yield server


@pytest.fixture
def raw(server: Server) -> Iterator[Redis]:
    """A client of our own to that Redis."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="session")
def _cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with clusters.cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture(scope="session")
def _sentinels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sentinels]:
    with clusters.sentinel(tmp_path_factory.mktemp("sentinels")) as made:
        yield made


@pytest.fixture
def cluster(_cluster: Cluster) -> Cluster:
    """A Cluster of three masters and three replicas for all tests: empty, and to be left whole."""
    clusters.empty(_cluster)
    return _cluster


@pytest.fixture
def sentinels(_sentinels: Sentinels) -> Sentinels:
    """A master, a replica and three sentinels for all tests: empty, and to be left as they are."""
    clusters.empty(_sentinels)
    return _sentinels


@pytest.fixture(params=["cluster", "sentinels"])
def several(request: pytest.FixtureRequest) -> Cluster | Sentinels:
    """What is not a single Redis: a Cluster, then a Sentinel service."""
    made: Cluster | Sentinels = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def other_url(several: Cluster | Sentinels) -> str:
    return several.url


@pytest.fixture(scope="session")
def evm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Anvil]:
    """An Ethereum node, started by the first test that needs one."""
    node = Anvil(tmp_path_factory.mktemp("evm"))
    yield node
    node.stop()


@pytest.fixture
def node(evm: Anvil) -> Iterator[Relay]:
    """The way to that node, which a test may block."""
    with Relay(evm) as relay:
        yield relay


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def overrides(redis_url: str) -> dict[str, Any]:
    """The configuration of the tests; a test module may override this fixture."""
    return {
        "SECRET_KEY": SECRET,
        "SESSIONS_CORE_DEVELOPMENT": True,
        "SESSIONS_CORE_PUBLIC_ORIGIN": ORIGIN,
        "SESSIONS_CORE_REDIS_URL": redis_url,
        "SESSIONS_CORE_REDIS_TIMEOUT_MS": 5000,  # a busy machine answers late, which has tests of its own
        "SESSIONS_CORE_INTERNET_IDENTITY_URL": "",  # no test opens a page of somebody else
        # Some go through a thousand wrong forms in one browser.
        "SESSIONS_CORE_SIGN_INS_PER_ADDRESS": "10000/minute",
        "SESSIONS_CORE_SIGN_INS_PER_BROWSER": "10000/minute",
        "SESSIONS_CORE_CHALLENGES_PER_BROWSER": "10000/minute",
    }


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> BytecodeCache:
    """Templates compiled by one test for all: each has an application of its own."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def make_app(
    redis: Redis, overrides: dict[str, Any], clock: Clock, compiled_templates: BytecodeCache
) -> Iterator[Callable[..., Flask]]:
    """Make an application with single settings of its own."""
    made: list[Flask] = []

    def make(seams: dict[str, Any] | None = None, **settings: Any) -> Flask:
        parts = (seams or {}).get("parts", settings.get("SESSIONS_CORE_PARTS"))
        config = without_settings(overrides, parts) | settings
        app = create_app(config, **({"clock": clock} | (seams or {})))
        app.jinja_env.bytecode_cache = compiled_templates
        made.append(app)
        return app

    yield make
    for app in made:
        live_updates = app.extensions["sessions_core"].parts.get("live_updates")
        if live_updates is not None:
            live_updates.stop()  # its threads would open a connection anew
        # The collector may meet a socket before the connection that would close it, and a warning fails the run.
        link_of(app.extensions["sessions_core"].repository).close()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def services(app: Flask) -> Services:
    return app.extensions["sessions_core"]


@pytest.fixture
def rotated(make_app: Callable[..., Flask], overrides: dict[str, Any]) -> Callable[..., Services]:
    """An application with another secret, which by default still knows the one of before."""

    def rotated(fallbacks: tuple[str, ...] = (overrides["SECRET_KEY"],)) -> Services:
        app = make_app(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=list(fallbacks))
        found: Services = app.extensions["sessions_core"]
        return found

    return rotated


@pytest.fixture
def pass_time(app: Flask, redis: Redis, clock: Clock) -> TimeMachine:
    return TimeMachine(app, redis, clock)


@pytest.fixture
def store(services: Services) -> SessionRepository:
    return services.repository


@pytest.fixture
def lifecycle(services: Services) -> Lifecycle:
    return services.lifecycle


@pytest.fixture
def start(services: Services) -> Callable[..., LoadedSession]:
    """Store the record of a session as it is given, without the rules and the events of a sign-in.

    `account`: CAIP-10, or "" for a visitor's session; `idle`, `absolute`: seconds; then fields of the record.
    """

    def start(account: str = ALICE, idle: int = IDLE, absolute: int = ABSOLUTE, **fields: Any) -> LoadedSession:
        handle = f"sess_{hashlib.sha256(str(fields).encode()).hexdigest()[:8]}" if account else ""
        record = SessionRecord(
            **{"handle": handle, "account": account, "session_type": "standard", "data": {}} | fields
        )
        return services.lifecycle.create(record, idle, absolute)

    return start


@pytest.fixture
def owner() -> Wallet | Account | None:
    """Whose sessions `sign_in` starts when nobody is named: a new wallet's each; a module may override it."""
    return None


@pytest.fixture
def sign_in(services: Services, owner: Wallet | Account | None) -> Callable[..., LoadedSession]:
    """Start a session by the rules of a sign-in, events included, for an account that has already proved itself.

    `whose`: an account, or a wallet, which is then used on `chain`; the options are those of `Lifecycle.start`.
    """

    def sign_in(whose: Wallet | Account | None = owner, chain: str = "eip155:1", **options: Any) -> LoadedSession:
        whose = whose or Wallet()
        account = parse(whose.account(chain)) if isinstance(whose, Wallet) else whose
        return services.lifecycle.start(account, services.policy.standard, **options)

    return sign_in


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


@pytest.fixture
def wallet() -> Wallet:
    return Wallet()


@pytest.fixture
def person(visitor: Visitor, wallet: Wallet) -> Visitor:
    """Somebody who has signed in."""
    visitor.sign_in(wallet)
    return visitor


@pytest.fixture
def other(app: Flask, wallet: Wallet, person: Visitor) -> Visitor:
    """A second browser of the same person."""
    other = Visitor(app)
    other.sign_in(wallet)
    return other


@pytest.fixture
def happened() -> Iterator[list[events.Event]]:
    """Every event of the test, in order."""
    seen: list[events.Event] = []

    def note(event: events.Event, **_: Any) -> None:
        seen.append(event)

    events.happened.connect(note)
    yield seen
    events.happened.disconnect(note)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that the developer's own instance folder is left alone."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("app.py", "config.py", "gunicorn.conf.py", "Makefile"):
        shutil.copy(ROOT / name, folder)
    for name in ("sessions_core", "tour", "templates", "static", "examples", "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    return folder


@pytest.fixture
def start_server(checkout: Path) -> Iterator[Callable[[list[str], str], Running]]:
    """Start a command in a copy of the checkout, on a port of its own; wait until it prints the given words."""
    started: list[Running] = []
    sockets = tempfile.mkdtemp(prefix="ws-")  # the path of a socket must be short

    def run(command: list[str], words: str) -> Running:
        port = free_port()
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
        server = Running(process, port, Path(sockets))
        started.append(server)
        server.wait_until(words.format(port=port))
        return server

    yield run
    for server in started:
        for process in server.family or [psutil.Process(server.process.pid)]:
            if process.is_running():
                process.kill()
        server.process.wait(PATIENCE)
        if server.process.stdout is not None:
            server.process.stdout.close()
    shutil.rmtree(sockets, ignore_errors=True)
