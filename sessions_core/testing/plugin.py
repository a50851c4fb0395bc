"""A pytest plugin: a private Redis for the run, and a configuration of its own for each test.

    pytest_plugins = ["sessions_core.testing.plugin"]

Your fixture `app` makes the application with `sessions_config`. With pytest-xdist the workers share one Redis, and
each test has a prefix of its own.
"""

from __future__ import annotations

import importlib
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.serving import WSGIRequestHandler, make_server

from .. import parts as folder
from ..storage.connection import RedisConnection
from .config import config
from .errors import PartMissing
from .sessions import services_of, sign_in
from .wallets import TestWallet

OWN_REDIS = "SESSIONS_CORE_TEST_REDIS_URL"
"""The environment variable with the URL of a Redis to test on, instead of a private one."""


@pytest.fixture(scope="session")
def sessions_redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis of this test run alone, which ends with it; or that of `SESSIONS_CORE_TEST_REDIS_URL`."""
    given = os.environ.get(OWN_REDIS)
    if given:
        yield given
        return
    try:
        embedded = importlib.import_module(f"{folder.__name__}.development_redis.embedded")
    except ImportError as error:
        raise PartMissing(
            "A private Redis needs the part 'development_redis', whose folder is not in sessions_core/parts. Restore "
            f"it, or set {OWN_REDIS} to the URL of a Redis for tests."
        ) from error
    base = tmp_path_factory.getbasetemp()
    # Each worker of pytest-xdist has a folder of its own in that of the run. A server belongs to its directory.
    run = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    server = embedded.start(Path(run) / "sessions-redis")
    yield server.url
    server.stop()


def _free_origin() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://localhost:{free.getsockname()[1]}"


@contextmanager
def _own_keys(redis_url: str) -> Iterator[str]:
    """Give a prefix of keys that no other test has, and delete these keys afterwards."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    prefix = f"sessions_core_test:{worker}:{uuid.uuid4().hex[:12]}:"
    yield prefix
    connection = RedisConnection(redis_url, 5)
    for key in list(connection.scan(f"{prefix}*")):
        connection.call("DEL", key)
    connection.close()


@pytest.fixture
def sessions_config(sessions_redis_url: str) -> Iterator[dict[str, Any]]:
    """A configuration for the application of this test alone: no other test shares a key in Redis with it. Its public
    origin is `http://localhost` at a free port.
    """
    with _own_keys(sessions_redis_url) as prefix:
        yield config(sessions_redis_url, prefix, _free_origin())


@pytest.fixture(scope="session")
def sessions_run_config(sessions_redis_url: str) -> Iterator[dict[str, Any]]:
    """The same for an application that all tests of a run share; with pytest-xdist, all tests of a worker."""
    with _own_keys(sessions_redis_url) as prefix:
        yield config(sessions_redis_url, prefix, _free_origin())


@pytest.fixture
def wallet() -> TestWallet:
    """The Ethereum wallet of seed ""."""
    return TestWallet()


@pytest.fixture
def signed_in_client(app: Flask, wallet: TestWallet) -> FlaskClient:
    """A test client of your fixture `app`, signed in with the fixture `wallet`."""
    client = app.test_client()
    sign_in(client, wallet)
    return client


class _Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None:
        pass


@pytest.fixture
def sessions_url(app: Flask) -> Iterator[str]:
    """Serve your fixture `app` at its public origin while the test runs, for a browser; return that origin.

    The origin must be `http://localhost` with a port, as `sessions_config` has it.
    """
    origin = services_of(app).settings.public_origin
    with ExitStack() as stack:
        port = int(origin.rpartition(":")[2])
        server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Quiet)
        stack.callback(server.server_close)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(server.shutdown)
        yield origin
