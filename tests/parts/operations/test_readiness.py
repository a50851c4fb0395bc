"""Ready means that Redis keeps what it is told; anything else is named, in time."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path

import pytest
from redis import Redis

from sessions_core.parts.operations import readiness as module
from sessions_core.parts.operations.readiness import SECONDS, TROUBLES, Readiness
from sessions_core.settings import Settings
from sessions_core.storage.connection import Breaker, RedisConnection
from sessions_core.storage.encryption import KeyRing

from ...actors import together
from ...clusters import Cluster
from ...constants import SECRET
from ...servers import Listener, Server, commands_run, free_port, frozen, running
from ...time_machine import finish_looking

LONG = 10.0  # seconds that a connection may take here, so that no timeout of Redis helps


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A busy machine may be slow where it is not slowness that is tested."""
    monkeypatch.setattr(module, "SECONDS", LONG)
    return monkeypatch


@pytest.fixture
def in_earnest(patience: pytest.MonkeyPatch) -> None:
    patience.setattr(module, "SECONDS", SECONDS)


def of(url: str, timeout: float = 2.0, strict: bool = True, **settings: object) -> Readiness:
    options = {"development": True} | settings
    return Readiness(
        RedisConnection(url, timeout), KeyRing((SECRET,), "test"), Settings(secrets=(SECRET,), **options), strict
    )


def test_safe_redis_is_ready(server: Server) -> None:
    assert of(server.url, development=False).trouble() is None


def test_readiness_check_leaves_nothing_in_redis(redis: Redis, redis_url: str) -> None:
    assert of(redis_url).trouble() is None
    assert redis.keys() == []


def test_a_cluster_can_be_ready(cluster: Cluster) -> None:
    assert of(cluster.url).trouble() is None


def test_stopped_redis_is_unreachable_and_ready_when_back(tmp_path: Path) -> None:
    server = Server(tmp_path)
    with running(server):
        readiness = Readiness(
            RedisConnection(server.url, 1, Breaker(iter(range(0, 1000, 10)).__next__)),
            KeyRing((SECRET,), "test"),
            Settings(secrets=(SECRET,), development=True),
        )
        assert readiness.trouble() is None
        server.stop()
        assert [readiness.trouble() for _ in range(5)] == ["redis_unreachable"] * 5
        server.start()
        assert readiness.trouble() is None


def test_an_open_circuit_is_not_ready_at_once() -> None:
    link = RedisConnection(f"redis://127.0.0.1:{free_port()}", 1, Breaker(lambda: 0.0))
    readiness = Readiness(link, KeyRing((SECRET,), "test"), Settings(secrets=(SECRET,), development=True))
    assert [readiness.trouble() for _ in range(5)] == ["redis_unreachable"] * 5


def test_hanging_redis_is_slow_after_200_milliseconds(in_earnest: None) -> None:
    """The socket timeouts don't matter."""
    with Listener() as listener:
        readiness = of(listener.url, LONG)
        began = time.monotonic()
        assert readiness.trouble() == "redis_slow"
        assert SECONDS == 0.2 <= time.monotonic() - began < LONG / 3


def test_frozen_redis_is_slow_and_ready_when_it_goes_on(
    server: Server, in_earnest: None, patience: pytest.MonkeyPatch
) -> None:
    readiness = of(server.url, LONG)
    with frozen(server):
        assert readiness.trouble() == "redis_slow"
    patience.setattr(module, "SECONDS", LONG)
    assert finish_looking(readiness, LONG) is None
    assert readiness.trouble() is None


def test_concurrent_checks_of_a_hanging_redis_share_one_look(in_earnest: None) -> None:
    with Listener() as listener:
        readiness = of(listener.url, LONG)
        assert together(*[readiness.trouble] * 8) == ["redis_slow"] * 8
        assert readiness.trouble() == "redis_slow"
        assert listener.connections == 1


def test_no_lock_is_held_while_a_thread_starts(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `gunicorn -k gevent --preload` the lock is older than gevent, and starting a thread lets others run."""
    readiness, held = of(redis_url), []
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        held.append(readiness._lock.locked())
        begin(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert readiness.trouble() is None
    assert held == [False]


def test_a_check_that_can_not_start_is_tried_again(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    readiness = of(redis_url)

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="new thread"):
            readiness.trouble()
    assert readiness.trouble() is None


def test_a_full_redis_is_not_ready(server: Server) -> None:
    with server.client() as client:
        client.config_set("maxmemory", 1)
        assert of(server.url).trouble() == "redis_full"


def test_a_replica_that_refuses_writes_is_not_ready(server: Server, tmp_path: Path) -> None:
    with running(Server(tmp_path / "replica")) as replica, replica.client() as client:
        client.replicaof("127.0.0.1", free_port())
        assert of(replica.url).trouble() == "redis_replica"


def test_a_replica_that_takes_writes_is_not_ready_either(tmp_path: Path) -> None:
    with running(Server(tmp_path, "--replica-read-only", "no")) as replica, replica.client() as client:
        client.replicaof("127.0.0.1", free_port())
        client.set("written", "all the same")
        assert of(replica.url).trouble() == "redis_replica"


@pytest.mark.parametrize(("name", "value"), [("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")])
def test_a_redis_that_forgets_is_not_ready_in_production(server: Server, name: str, value: str) -> None:
    with server.client() as client:
        client.config_set(name, value)
    assert of(server.url, development=False).trouble() == "redis_forgets"
    assert of(server.url, development=False, strict=False).trouble() is None
    assert of(server.url).trouble() is None


@pytest.mark.parametrize("rules", ["+get", "+getdel +info", "nopass"])
def test_redis_user_without_write_access_is_refused(server: Server, rules: str) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">right", "~*", *rules.split())
    password = "wrong" if rules == "nopass" else "right"
    with server.client() as client:
        if rules == "nopass":
            client.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">right")
    path = server.url.removeprefix("unix://")
    assert of(f"unix://reader:{password}@{path}").trouble() == "redis_refuses"


def test_a_redis_that_may_not_be_asked_for_info_is_ready(server: Server) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", "-info")
        assert of(server.url, development=False).trouble() is None


def test_readiness_check_costs_three_commands(redis: Redis, redis_url: str) -> None:
    readiness = of(redis_url)
    readiness._last_look = math.inf  # once in ten seconds all rights are tried, after the answer
    redis.config_resetstat()
    assert readiness.trouble() is None
    assert set(commands_run(redis)) == {"set", "getdel"}  # and INFO, which is never counted here


def test_every_trouble_has_a_sentence() -> None:
    assert all(sentence[0].isupper() and sentence.endswith(".") for sentence in TROUBLES.values())
