"""A record that eviction, FLUSHALL or a failover took is not "idle": its reason is unknown, and the page says so."""

from __future__ import annotations

from collections.abc import Callable

from redis import Redis

from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.sessions.repository import SessionRepository

from ..actors import Visitor
from ..constants import ABSOLUTE, IDLE
from ..time_machine import TimeMachine


def test_a_lost_record_is_unknown(
    store: SessionRepository, redis: Redis, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    redis.delete(live.keys.record)
    assert store.load(live.id, "due") == EndedSession("unknown")
    assert store.load_handle(live.keys.tag, live.record.handle, "never") == EndedSession("unknown")


def test_a_record_lost_after_activity_is_unknown(
    store: SessionRepository, redis: Redis, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    """Its idle end moved on with each activity, and the index knows."""
    live = start()
    for _ in range(3):
        pass_time(IDLE / 2)
        assert isinstance(store.load(live.id, "due"), LoadedSession)
    redis.delete(live.keys.record)
    assert store.load(live.id, "due") == EndedSession("unknown")
    pass_time(IDLE + 1)
    assert store.load(live.id, "due") == EndedSession("idle"), "by now it would have ended anyway"
    pass_time(ABSOLUTE)
    assert store.load(live.id, "due") == EndedSession("absolute")


def test_a_record_lost_after_a_rotation_is_unknown(
    store: SessionRepository, redis: Redis, start: Callable[..., LoadedSession]
) -> None:
    moved = store.rotate(start())
    assert moved is not None
    redis.delete(moved.keys.record)
    assert store.load(moved.id, "due") == EndedSession("unknown")


def test_a_flushed_database_leaves_unknown_sessions(redis: Redis, person: Visitor) -> None:
    redis.flushall()
    error = person.json("/api/auth/sessions/validate").get_json()["error"]
    assert (error["code"], error["reason"]) == ("session_invalid", "unknown")
    page = person.get("/sign-in?reason=unknown").text
    assert "Your session has ended." in page
    assert "You were inactive" not in page


def test_entries_of_earlier_versions_are_read(
    store: SessionRepository, redis: Redis, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    """They have no idle end: `handle|created|ends|reason`."""
    live, other = start(), start(handle="sess_other")
    for each in (live, other):
        handle, created, ends, _, reason = redis.hget(each.keys.entries, each.keys.digest).split(b"|")
        redis.hset(each.keys.entries, each.keys.digest, b"|".join((handle, created, ends, reason)))
    assert {each.record.handle for each in store.living(live.record.account)} == {live.record.handle, "sess_other"}
    assert store.revoke(other, "revoked")
    assert store.load(other.id, "due") == EndedSession("revoked")
    pass_time(61)
    assert isinstance(store.load(live.id, "due"), LoadedSession)
    assert redis.hget(live.keys.entries, live.keys.digest).count(b"|") == 4, "activity completes it"
    start(handle="sess_third")
    assert len(store.living(live.record.account)) == 2
    pass_time(IDLE)
    assert store.load(live.id, "due") == EndedSession("idle")


def test_activity_never_reopens_an_entry_that_was_closed(
    store: SessionRepository, redis: Redis, start: Callable[..., LoadedSession]
) -> None:
    """A record that came back (a restored copy) keeps the reason for which its session ended."""
    live = start()
    stored = redis.get(live.keys.record)
    store.revoke(live, "revoked")
    redis.set(live.keys.record, stored, px=IDLE * 1000)
    store.load(live.id, "now")
    assert redis.hget(live.keys.entries, live.keys.digest).endswith(b"|revoked")
