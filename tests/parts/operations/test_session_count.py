"""Counting sessions: once a minute for all processes, and right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from sessions_core.parts.operations import Operations
from sessions_core.parts.operations.session_count import SessionCount
from sessions_core.sessions.record import LoadedSession
from sessions_core.settings import Settings
from sessions_core.storage.connection import RedisConnection
from sessions_core.web.services import Services

from ...clusters import Cluster
from ...constants import REDIS_PREFIX, SECRET
from ...servers import Server, commands_run, running

DUE, COUNTED = f"{REDIS_PREFIX}census:due", f"{REDIS_PREFIX}census"


@pytest.fixture
def census(app: Flask) -> SessionCount:
    services: Services = app.extensions["sessions_core"]
    return services.part(Operations).session_count


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[tuple[Server, SessionCount]]:
    with running(Server(tmp_path)) as server:
        yield server, of(server.url)


def of(url: str) -> SessionCount:
    """A census of its own."""
    return SessionCount(RedisConnection(url, 1), Settings(secrets=(SECRET,)))


def test_zero_sessions_are_counted_as_zero(census: SessionCount) -> None:
    assert census.latest() == 0


def test_every_stored_session_is_counted(census: SessionCount, start: Callable[..., LoadedSession]) -> None:
    for number in range(3):
        start(wallet=str(number))
    assert census.latest() == 3


def test_other_keys_are_not_sessions(census: SessionCount, start: Callable[..., LoadedSession], redis: Redis) -> None:
    start()
    redis.set("other:{tag}:session:x", 1)
    redis.set(f"{REDIS_PREFIX}nonce:session:", 1)
    assert census.latest() == 1


def test_sessions_are_counted_once_a_minute_for_all_callers(
    census: SessionCount, start: Callable[..., LoadedSession], redis: Redis, redis_url: str
) -> None:
    start()
    assert census.latest() == 1
    start(wallet="another")
    redis.config_resetstat()
    assert census.latest() == of(redis_url).latest() == 1
    assert "scan" not in commands_run(redis)
    assert 55_000 < redis.pttl(DUE) <= 60_000
    redis.delete(DUE)  # a minute later
    assert census.latest() == 2


def test_planted_value_is_no_count(census: SessionCount, redis: Redis) -> None:
    redis.set(DUE, 1)
    redis.set(COUNTED, "many")
    assert census.latest() is None


def test_last_count_is_used_while_another_process_counts(census: SessionCount, redis: Redis) -> None:
    redis.set(DUE, 1)
    assert census.latest() is None
    redis.set(COUNTED, 12)
    assert census.latest() == 12


def test_without_redis_the_count_is_unknown(apart: tuple[Server, SessionCount]) -> None:
    server, census = apart
    assert census.latest() == 0
    server.stop()
    assert census.latest() is None


def test_sessions_on_a_cluster_are_counted(cluster: Cluster) -> None:
    assert of(cluster.url).latest() == 0


def test_large_server_is_sampled_within_three_percent(
    census: SessionCount, start: Callable[..., LoadedSession], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it would be with a hundred times the keys and the sample."""
    with redis.pipeline(transaction=False) as pipeline:
        for number in range(60_000):
            pipeline.set(f"{REDIS_PREFIX}{{{number}}}:session:x", 1)
            pipeline.set(f"{REDIS_PREFIX}{{{number}}}:index", 1)
        pipeline.execute()
    redis.config_resetstat()
    counted = census.latest()
    assert counted is not None
    assert counted != 60_000
    assert abs(counted - 60_000) < 60_000 * 0.03
    assert commands_run(redis)["scan"] <= 11
