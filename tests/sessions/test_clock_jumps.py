"""Redis's clock decides. A clock of ours that jumped, in either direction, ends no session and prolongs none."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from sessions_core.sessions import repository as module
from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.sessions.repository import SessionRepository

from ..actors import Visitor
from ..constants import ABSOLUTE, MINUTE
from ..servers import commands_run
from ..time_machine import TimeMachine

HOURS = 3600


def jump(monkeypatch: pytest.MonkeyPatch, seconds: float, clock: str = "time") -> None:
    real = getattr(module.time, clock)
    monkeypatch.setattr(module.time, clock, lambda: real() + seconds)


@pytest.mark.parametrize("hours", [13, -13, 24 * 365])
def test_clock_jump_ends_no_session(
    store: SessionRepository, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    live = start()
    assert isinstance(store.load(live.id, "due"), LoadedSession)
    jump(monkeypatch, hours * HOURS)
    found = store.load(live.id, "due")
    assert isinstance(found, LoadedSession)
    assert abs(found.now - live.now) < MINUTE * 1000, "by Redis's clock"


def test_backward_clock_jump_extends_no_session(
    store: SessionRepository,
    redis: Redis,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not even one whose TTL somebody took off the key."""
    live = start()
    redis.persist(live.keys.record)
    pass_time(ABSOLUTE + 1)
    assert store.load(live.id, "never") == EndedSession("absolute")
    jump(monkeypatch, -13 * HOURS)
    assert store.load(live.id, "never") == EndedSession("absolute")


def test_a_machine_that_slept_asks_redis(
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its monotonic clock stood still while the wall clock went on."""
    live = start()
    jump(monkeypatch, -20 * MINUTE, "monotonic")
    found = store.load(live.id, "due")
    assert isinstance(found, LoadedSession)
    assert abs(found.now - live.now) < MINUTE * 1000


def test_sessions_survive_a_clock_jump(person: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    jump(monkeypatch, 13 * HOURS)
    assert [person.get("/session").status_code for _ in range(3)] == [200] * 3


def test_a_jump_is_asked_about_once(
    store: SessionRepository, redis: Redis, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start()
    jump(monkeypatch, 13 * HOURS)
    store.load(live.id, "never")
    redis.config_resetstat()
    for _ in range(5):
        store.load(live.id, "never")
    assert commands_run(redis) == {"mget": 5}
