"""Records and their scripts: what is stored, what it takes to change it, and what no longer opens."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.client import PubSub

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.sessions import record, repository
from sessions_core.sessions.lifecycle import Lifecycle
from sessions_core.sessions.record import EndedSession, LoadedSession, SessionRecord, digest_of
from sessions_core.sessions.repository import SessionRepository
from sessions_core.settings import LONGEST
from sessions_core.storage import scripts
from sessions_core.storage.connection import Script

from ..actors import together
from ..constants import ABSOLUTE, ALICE, ANOTHER, BOB, DAY, HOUR, IDLE, MINUTE, REDIS_PREFIX
from ..stored import FIELDS, change, everything, key_of, link_of, replace_sealed
from ..time_machine import TimeMachine


@pytest.fixture
def announced(redis: Redis, store: SessionRepository) -> Iterator[PubSub]:
    with redis.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(store.channel)
        listener.get_message(timeout=1)
        yield listener


def announcements(listener: PubSub, redis: Redis, channel: str) -> list[dict[str, str]]:
    """Everything announced so far."""
    redis.publish(channel, "end")
    found = []
    while (message := listener.get_message(timeout=5)) and message["data"] != b"end":
        found.append(json.loads(message["data"]))
    assert message is not None
    return found


# -- Ids -------------------------------------------------------------------------------------------------------


def test_an_id_is_a_tag_and_32_random_bytes() -> None:
    session_id = record.new_id(record.account_tag(ALICE))
    assert re.fullmatch(r"[A-Za-z0-9_-]{12}[A-Za-z0-9_-]{43}", session_id)
    assert record.well_formed(session_id)


def test_no_two_ids_share_their_secret() -> None:
    assert len({record.new_id("t" * 12)[12:] for _ in range(10_000)}) == 10_000


def test_sessions_of_one_account_share_a_hash_tag() -> None:
    """No two accounts share one, and visitors are spread over the slots."""
    assert record.account_tag(ALICE) == record.account_tag(ALICE)
    assert record.account_tag(ALICE) != record.account_tag(BOB)
    assert record.new_id() != record.new_id()
    assert record.new_id()[:12] != record.new_id()[:12], "visitors are spread over the slots"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a" * 54,
        "a" * 56,
        "a" * 54 + "=",
        "a" * 54 + "\n",
        "a" * 55 + "\n",
        "é" * 55,
        "a" * 54 + "٣",
        "a" * 100_000,
    ],
)
def test_malformed_session_id_is_not_well_formed(value: str) -> None:
    assert not record.well_formed(value)


# -- What is stored --------------------------------------------------------------------------------------------


def test_stored_record_is_read_back(store: SessionRepository, start: Callable[..., LoadedSession]) -> None:
    data = {
        "text": "é\0",
        "bytes": b"\xff",
        "list": [1, [2]],
        "none": None,
        "nested": {"a": {"b": 1.5}},
        "big": 2**63,
    }
    live = start(data=data, wallet="A wallet", remember=True)
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert found.record == live.record
    assert found.record.data == data
    assert (found.id, found.revision, found.idle_timeout_ms, found.absolute_expires_at) == (
        live.id,
        1,
        IDLE * 1000,
        live.absolute_expires_at,
    )


def test_a_record_tells_when_it_was_made_by_the_clock_of_redis(
    redis: Redis, start: Callable[..., LoadedSession]
) -> None:
    seconds, microseconds = redis.time()
    live = start()
    now = seconds * 1000 + microseconds // 1000
    assert now <= live.record.created_at <= now + 1000
    assert live.record.signed_at == live.record.created_at
    assert live.absolute_expires_at == live.record.created_at + ABSOLUTE * 1000


def test_a_visitors_record_was_never_signed(start: Callable[..., LoadedSession]) -> None:
    assert start(account="").record.signed_at == 0


def test_the_key_lives_as_long_as_the_idle_clock(redis: Redis, start: Callable[..., LoadedSession]) -> None:
    assert IDLE * 1000 - 1000 < redis.pttl(key_of(redis, start())) <= IDLE * 1000


def test_the_key_never_lives_past_the_absolute_end(redis: Redis, start: Callable[..., LoadedSession]) -> None:
    live = start(idle=HOUR, absolute=10 * MINUTE)
    assert 599_000 < redis.pttl(key_of(redis, live)) <= 600_000
    assert live.idle_expires_at == live.absolute_expires_at


def test_the_id_is_nowhere_in_redis(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    lives = [start(), start(account=""), start(account=BOB)]
    moved = store.rotate(lives[0])
    assert moved is not None
    store.revoke(lives[2], "revoked")
    found = everything(redis)
    for live in (*lives, moved):
        for secret in (live.id, live.id[12:], live.id[12:28]):
            assert secret.encode() not in found
        assert digest_of(live.id).encode() in found or live is lives[2] or live is lives[1]


def test_redis_shows_neither_accounts_nor_stored_data(redis: Redis, start: Callable[..., LoadedSession]) -> None:
    start(wallet="A wallet of note", data={"a name of note": "a value of note", "csrf_token": "a secret of note"})
    found = everything(redis)
    assert b"of note" not in found
    assert ALICE[-40:].encode().lower() not in found.lower()


def test_a_visitor_has_no_entry_in_any_index(redis: Redis, start: Callable[..., LoadedSession]) -> None:
    start(account="")
    assert redis.keys("*:index") == []


def test_entries_of_the_index_go_a_day_after_their_session(
    redis: Redis, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    start(wallet="first")
    [index] = redis.keys("*:index")
    pass_time(ABSOLUTE + DAY - 60)
    start(wallet="second")
    assert redis.hlen(index) == 2
    pass_time(120)
    start(wallet="third")
    assert redis.hlen(index) == 2
    pass_time(ABSOLUTE + DAY + 60)
    assert redis.keys("*:index") == []


def test_an_id_that_is_taken_is_not_overwritten(
    store: SessionRepository, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start(data={"mine": 1})
    monkeypatch.setattr(repository, "new_id", lambda tag=None: live.id)
    with pytest.raises(StoreUnavailable):
        start(data={"yours": 2})
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert found.record.data == {"mine": 1}


def test_unreadable_data_is_refused_when_it_is_written(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start(data={"kept": 1})
    live.record.data = {1: "a key that is no string"}  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="has to be text"):
        store.save(live)
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert found.record.data == {"kept": 1}


# -- Two clocks ------------------------------------------------------------------------------------------------


def test_idle_session_ends_with_its_reason(
    store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    pass_time(IDLE - 5)
    assert isinstance(store.load(live.id, "never"), LoadedSession)
    pass_time(10)
    assert store.load(live.id, "now") == EndedSession("idle")


def test_session_ends_at_its_absolute_end_with_the_reason(
    store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    for _ in range(ABSOLUTE // IDLE * 2 - 1):
        pass_time(IDLE / 2)
        assert isinstance(store.load(live.id, "due"), LoadedSession)
    pass_time(IDLE / 2 + 5)
    assert store.load(live.id, "now") == EndedSession("absolute")


def test_keep_alive_never_passes_the_absolute_end(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start(idle=HOUR, absolute=HOUR + 10 * MINUTE)
    pass_time(30 * MINUTE)
    for keep_alive in ("due", "now"):
        found = store.load(live.id, keep_alive)
        assert isinstance(found, LoadedSession)
        assert redis.pttl(key_of(redis, live)) <= 40 * MINUTE * 1000
        assert found.idle_expires_at == found.absolute_expires_at
    pass_time(40 * MINUTE + 1)
    assert store.load(live.id, "due") == EndedSession("absolute")


def test_activity_keeps_alive_at_most_once_a_minute(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    key = key_of(redis, live)
    pass_time(58)
    store.load(live.id, "due")
    assert redis.pttl(key) <= (IDLE - 58) * 1000
    pass_time(3)
    found = store.load(live.id, "due")
    assert redis.pttl(key) > (IDLE - 1) * 1000
    assert isinstance(found, LoadedSession)
    assert abs(found.idle_expires_at - found.now - IDLE * 1000) < 50
    assert abs(found.now - found.active) < 50
    pass_time(30)
    store.load(live.id, "due")
    assert redis.pttl(key) <= (IDLE - 30) * 1000


def test_requested_keep_alive_takes_effect_at_once(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    pass_time(10)
    store.load(live.id, "now")
    assert redis.pttl(key_of(redis, live)) > (IDLE - 1) * 1000


def test_passive_read_never_keeps_alive(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    before = redis.dump(key_of(redis, live))
    for _ in range(20):
        assert isinstance(store.load(live.id, "never"), LoadedSession)
    assert redis.dump(key_of(redis, live)) == before
    pass_time(IDLE - 60)
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert 58_000 < found.idle_expires_at - found.now <= 60_000
    assert redis.pttl(key_of(redis, live)) <= 60_000


@pytest.mark.parametrize("wrong", ["time", "monotonic"])
def test_keep_alive_works_when_our_own_clock_was_wrong(
    redis: Redis,
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
    monkeypatch: pytest.MonkeyPatch,
    wrong: str,
) -> None:
    # `monotonic` stands still while a machine sleeps; `time` is set by people, and Redis may fail over to another
    # machine with another time. Redis's clock decides.
    real, monotonic = getattr(repository.time, wrong), repository.time.monotonic
    live = start()
    pass_time(20 * MINUTE)
    monkeypatch.setattr(repository.time, wrong, lambda: real() - 20 * MINUTE)
    if wrong == "time":
        monkeypatch.setattr(repository.time, "monotonic", lambda: monotonic() + MINUTE)
    found = store.load(live.id, "due")
    monkeypatch.undo()
    assert isinstance(found, LoadedSession)
    assert redis.pttl(key_of(redis, live)) > (IDLE - 1) * 1000


def test_never_issued_session_id_is_unknown(store: SessionRepository) -> None:
    assert store.load(record.new_id(), "due") == EndedSession("unknown")


def test_a_day_after_its_end_a_session_is_unknown(
    store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    pass_time(ABSOLUTE + DAY - 60)
    assert store.load(live.id, "due") == EndedSession("absolute")
    pass_time(120)
    assert store.load(live.id, "due") == EndedSession("unknown")


def test_record_without_an_expiry_still_ends(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start(idle=10 * MINUTE, absolute=10 * MINUTE)
    redis.persist(key_of(redis, live))
    pass_time(10 * MINUTE + 1)
    assert redis.pttl(key_of(redis, live)) == -1
    assert store.load(live.id, "due") == EndedSession("absolute")


# -- Saving ----------------------------------------------------------------------------------------------------


def test_saving_keeps_the_clocks(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    start()
    live = start(data={"a": 1})
    pass_time(100)
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    found.record.data["b"] = 2
    assert store.save(found) == "saved"
    again = store.load(live.id, "never")
    assert isinstance(again, LoadedSession)
    assert again.record.data == {"a": 1, "b": 2}
    assert (again.revision, again.absolute_expires_at, again.active) == (2, found.absolute_expires_at, found.active)
    assert redis.pttl(key_of(redis, live)) <= (IDLE - 100) * 1000


def test_save_over_another_save_reports_the_conflict(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    first, second = store.load(live.id, "never"), store.load(live.id, "never")
    assert isinstance(first, LoadedSession)
    assert isinstance(second, LoadedSession)
    first.record.data, second.record.data = {"first": 1}, {"second": 2}
    assert store.save(first) == "saved"
    assert store.save(second) == "changed"
    assert second.revision == 1
    assert store.load(live.id, "never").record.data == {"first": 1}  # type: ignore[union-attr]
    first.record.data = {"first": 2}
    assert store.save(first) == "saved"


def test_concurrent_saves_have_one_winner(store: SessionRepository, start: Callable[..., LoadedSession]) -> None:
    live = start()
    copies = [store.load(live.id, "never") for _ in range(12)]
    outcomes = together(*[lambda copy=copy: store.save(copy) for copy in copies])  # type: ignore[misc]
    assert sorted(outcomes) == ["changed"] * 11 + ["saved"]


def test_a_revoked_session_can_not_be_saved(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    store.revoke(live, "revoked")
    assert store.save(live) == "gone"
    assert redis.keys("*:session:*") == []


def test_an_expired_session_can_not_be_saved(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    pass_time(IDLE + 1)
    assert store.save(live) == "gone"
    assert redis.keys("*:session:*") == []


def test_revocation_wins_over_a_concurrent_save(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    for _ in range(100):
        live = start()
        saved, revoked = together(lambda live=live: store.save(live), lambda live=live: store.revoke(live, "revoked"))  # type: ignore[misc]
        assert saved in ("saved", "gone")
        assert revoked.ended == 1
        assert store.load(live.id, "now") == EndedSession("revoked")


# -- Rotating --------------------------------------------------------------------------------------------------


def test_a_rotated_session_lives_on_under_another_id(
    redis: Redis,
    store: SessionRepository,
    lifecycle: Lifecycle,
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
) -> None:
    live = start(data={"kept": 1, "csrf_token": "old"})
    moved = lifecycle.rotate(live)
    assert isinstance(moved, LoadedSession)
    assert moved.id != live.id
    assert moved.id[:12] == live.id[:12]
    assert store.load(live.id, "now") == EndedSession("rotated")
    found = store.load(moved.id, "never")
    assert isinstance(found, LoadedSession)
    assert found.record.data["kept"] == 1
    assert found.record.data["csrf_token"] not in ("old", None)
    assert (found.record.handle, found.record.created_at) == (live.record.handle, live.record.created_at)
    assert len(redis.keys("*:session:*")) == 1
    assert happened == [
        events.SessionRotated(handle=live.record.handle, account=ALICE),
        events.FormerIdRefused(handle=live.record.handle, account=ALICE),
    ]


def test_both_clocks_go_on_under_the_new_id(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    pass_time(20 * MINUTE)
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    moved = store.rotate(found)
    assert moved is not None
    assert 598_000 < redis.pttl(key_of(redis, moved)) <= 600_000
    assert (moved.absolute_expires_at, moved.idle_expires_at) == (found.absolute_expires_at, found.idle_expires_at)
    again = store.load(moved.id, "never")
    assert isinstance(again, LoadedSession)
    assert (again.absolute_expires_at, again.active) == (found.absolute_expires_at, found.active)


def test_a_revoked_session_can_not_be_rotated(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    store.revoke(live, "revoked")
    assert store.rotate(live) is None
    assert redis.keys("*:session:*") == []
    assert store.load(live.id, "now") == EndedSession("revoked")


def test_stale_session_is_not_rotated_over_a_newer_save(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    other = store.load(live.id, "never")
    assert isinstance(other, LoadedSession)
    other.record.data = {"saved": 1}
    store.save(other)
    assert store.rotate(live) is None
    found = store.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert found.record.data == {"saved": 1}


def test_a_session_of_a_former_epoch_is_not_rotated_into_life(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    store.revoke_account(ALICE)
    assert store.rotate(live) is None
    assert store.load(live.id, "now") == EndedSession("everywhere")


def test_concurrent_rotations_have_one_winner(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    copies = [store.load(live.id, "never") for _ in range(12)]
    moved = [one for one in together(*[lambda copy=copy: store.rotate(copy) for copy in copies]) if one]  # type: ignore[misc]
    assert len(moved) == 1
    assert len(redis.keys("*:session:*")) == 1


def test_concurrent_rotations_announce_one_event(
    redis: Redis,
    store: SessionRepository,
    lifecycle: Lifecycle,
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
) -> None:
    live = start()
    copies = [store.load(live.id, "never") for _ in range(12)]

    def promote(record: SessionRecord) -> None:
        record.privilege = "admin|"

    together(*[lambda copy=copy: lifecycle.rotate(copy, promote) for copy in copies])  # type: ignore[misc]
    assert len(redis.keys("*:session:*")) == 1
    assert [event.name for event in happened] == ["session.rotated"]


def test_sign_out_ends_a_session_rotated_by_another_request(
    redis: Redis,
    store: SessionRepository,
    lifecycle: Lifecycle,
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
) -> None:
    start(wallet="another session of the same account")
    live = start()
    moved = lifecycle.rotate(live)
    assert isinstance(moved, LoadedSession)
    again = lifecycle.rotate(moved)
    assert isinstance(again, LoadedSession)
    assert lifecycle.revoke(live, "signed_out") is True
    assert store.load(again.id, "now") == EndedSession("signed_out")
    assert len(redis.keys("*:session:*")) == 1
    assert [event.name for event in happened] == ["session.rotated", "session.rotated", "session.ended"]


def test_concurrent_rotation_and_sign_out_end_the_session(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    for _ in range(100):
        live = start()
        copy = store.load(live.id, "never")
        moved, ended = together(
            lambda copy=copy: store.rotate(copy),  # type: ignore[misc]
            lambda live=live: store.revoke(live, "signed_out"),  # type: ignore[misc]
        )
        assert ended.ended == 1
        assert store.load(live.id, "now") in (EndedSession("signed_out"), EndedSession("rotated"))
        if moved is not None:
            assert store.load(moved.id, "now") == EndedSession("signed_out")
    assert redis.keys("*:session:*") == []


# -- Revoking --------------------------------------------------------------------------------------------------


def test_a_revoked_session_is_dead_and_its_cookie_learns_why(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    assert store.revoke(live, "revoked").ended == 1
    assert store.load(live.id, "now") == EndedSession("revoked")


def test_a_revocation_is_announced_with_handle_and_reason(
    redis: Redis,
    store: SessionRepository,
    lifecycle: Lifecycle,
    start: Callable[..., LoadedSession],
    announced: PubSub,
    happened: list[events.Event],
) -> None:
    live = start()
    lifecycle.revoke(live, "revoked")
    assert announcements(announced, redis, store.channel) == [{"handle": live.record.handle, "reason": "revoked"}]
    assert happened == [events.SessionEnded(handle=live.record.handle, account=ALICE, reason="revoked")]


def test_concurrent_revocations_announce_one_event(
    redis: Redis,
    store: SessionRepository,
    lifecycle: Lifecycle,
    start: Callable[..., LoadedSession],
    announced: PubSub,
    happened: list[events.Event],
) -> None:
    for _ in range(20):
        live = start()
        outcomes = together(*[lambda live=live, n=n: lifecycle.revoke(live, f"reason {n}") for n in range(8)])  # type: ignore[misc]
        assert sorted(outcomes) == [False] * 7 + [True]
        winner = f"reason {outcomes.index(True)}"
        assert store.load(live.id, "now") == EndedSession(winner)
        assert [each["reason"] for each in announcements(announced, redis, store.channel)] == [winner]
        assert [event.reason for event in happened] == [winner]  # type: ignore[attr-defined]
        happened.clear()


def test_revoking_an_expired_session_announces_nothing(
    redis: Redis,
    store: SessionRepository,
    lifecycle: Lifecycle,
    start: Callable[..., LoadedSession],
    announced: PubSub,
    pass_time: TimeMachine,
    happened: list[events.Event],
) -> None:
    live = start()
    pass_time(IDLE + 1)
    assert lifecycle.revoke(live, "revoked") is False
    assert announcements(announced, redis, store.channel) == []
    assert store.load(live.id, "now") == EndedSession("idle")
    assert happened == []


def test_one_write_ends_every_session_of_one_account(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], announced: PubSub
) -> None:
    """Sessions of other accounts live on."""
    lives = [start(wallet=str(number)) for number in range(5)]
    others = start(account=BOB)
    redis.config_resetstat()
    store.revoke_account(ALICE)
    assert redis.info("commandstats")["cmdstat_set"]["calls"] == 1
    assert [store.load(live.id, "now") for live in lives] == [EndedSession("everywhere")] * 5
    assert isinstance(store.load(others.id, "never"), LoadedSession)
    assert announcements(announced, redis, store.channel) == [{"account": ALICE, "reason": "everywhere"}]


@pytest.mark.parametrize("how", ["everywhere", "others"])
def test_epoch_outlives_the_longest_session(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], how: str
) -> None:
    live = start()
    if how == "others":
        store.revoke_others(live)
    else:
        store.revoke_account(ALICE)
    assert LONGEST + DAY - 60 < redis.ttl(live.keys.epoch) <= LONGEST + DAY


@pytest.mark.parametrize("how", ["everywhere", "others"])
def test_revoking_holds_after_the_epoch_was_forgotten(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], how: str
) -> None:
    """Records that have seen the epoch of a month ago live on. The next one must be larger, not one."""
    for number in range(3):
        start(wallet=f"former {number}")
        store.revoke_account(ALICE)
    own, other = start(wallet="own"), start(wallet="other")
    in_flight = redis.get(other.keys.record)
    redis.delete(own.keys.epoch)
    while store.time() <= own.epoch:
        pass  # three revocations in one millisecond count past it; a month later that can't be
    assert isinstance(store.load(own.id, "due"), LoadedSession)
    assert store.save(own) == "saved"
    if how == "others":
        assert store.revoke_others(own).ended == 1
        assert isinstance(store.load(own.id, "due"), LoadedSession)
        assert store.revoke_others(own).ended == 0
    else:
        assert store.revoke_account(ALICE).ended == 2
        assert store.load(own.id, "due") == EndedSession("everywhere")
    redis.set(other.keys.record, in_flight)  # as a write does that was under way
    assert isinstance(store.load(other.id, "due"), EndedSession)


def test_epoch_goes_after_every_session_that_it_ended(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    """The longest one that there can be, written again by a request in flight: nothing makes it live longer."""
    live = start(idle=LONGEST, absolute=LONGEST)
    written, left = redis.get(live.keys.record), redis.pttl(live.keys.record)
    store.revoke_account(ALICE)
    redis.set(live.keys.record, written, px=left)
    days_alive = days = 0
    while redis.exists(live.keys.epoch):
        assert isinstance(store.load(live.id, "never"), EndedSession)
        assert store.save(live) == "gone"
        assert store.rotate(live, restart_seconds=LONGEST) is None
        days_alive += redis.exists(live.keys.record)
        days += 1
        pass_time(DAY)
    assert (days_alive, days) == (LONGEST // DAY, LONGEST // DAY + 1)
    assert not redis.exists(live.keys.record)
    assert isinstance(store.load(live.id, "now"), EndedSession)


def test_account_can_sign_in_again_after_being_revoked(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    store.revoke_account(ALICE)
    store.revoke_account(ALICE)
    live = start()
    assert isinstance(store.load(live.id, "due"), LoadedSession)
    assert store.save(live) == "saved"
    assert isinstance(store.load(live.id, "due"), LoadedSession)


def test_one_write_ends_every_session_of_the_site(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], announced: PubSub
) -> None:
    lives = [start(), start(account=BOB), start(account="")]
    store.revoke_everybody()
    assert [store.load(live.id, "now") for live in lives] == [EndedSession("revoked")] * 3
    assert isinstance(store.load(start().id, "due"), LoadedSession)
    assert announcements(announced, redis, store.channel) == [{"reason": "revoked"}]


@pytest.mark.parametrize(("revoke", "reason"), [("revoke_account", "everywhere"), ("revoke_everybody", "revoked")])
def test_session_stored_after_a_revocation_it_missed_is_dead(
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    monkeypatch: pytest.MonkeyPatch,
    revoke: str,
    reason: str,
) -> None:
    run = link_of(store).run

    def revoke_first(script: Script, *rest: Any) -> Any:
        if script is scripts.CREATE:
            monkeypatch.undo()
            getattr(store, revoke)(*([ALICE] if revoke == "revoke_account" else []))
        return run(script, *rest)

    monkeypatch.setattr(link_of(store), "run", revoke_first)
    assert store.load(start().id, "now") == EndedSession(reason)


def test_no_sign_in_outlives_a_later_account_revocation(
    store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    for _ in range(50):
        before = [start(wallet=str(number)) for number in range(2)]
        *racing, _ = together(*[start] * 4, lambda: store.revoke_account(ALICE))
        assert [store.load(live.id, "never") for live in before] == [EndedSession("everywhere")] * 2
        for live in racing:
            # Those that saw the new epoch began after it. The others are dead.
            found = store.load(live.id, "never")
            assert isinstance(found, LoadedSession) == (
                live.epoch == max(other.epoch for other in [*racing, start()])
            )


# -- Tampering -------------------------------------------------------------------------------------------------


def assert_unreadable(
    redis: Redis, store: SessionRepository, live: LoadedSession, happened: list[events.Event]
) -> None:
    happened.clear()
    for keep_alive in ("never", "due", "now"):
        assert store.load(live.id, keep_alive) == EndedSession("unknown")
    assert happened == [events.RecordUnreadable(key=key_of(redis, live).decode())] * 3


@pytest.mark.parametrize("field", FIELDS[1:6])
@pytest.mark.parametrize(
    "how", [lambda v: b"%d" % (int(v) + 1), lambda v: v + b"0", lambda v: b"0" + v, lambda _: b"x", lambda _: b""]
)
def test_a_record_with_a_changed_clock_or_epoch_is_no_session(
    redis: Redis,
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
    field: str,
    how: Callable[[bytes], bytes],
) -> None:
    live = start()
    change(redis, live, field, how)
    assert_unreadable(redis, store, live, happened)


@pytest.mark.parametrize("position", [0, 3, 4, 15, 16, 40, -17, -1])
def test_a_record_with_a_changed_byte_is_no_session(
    redis: Redis,
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
    position: int,
) -> None:
    live = start()

    def flip(sealed: bytes) -> bytes:
        changed = bytearray(sealed)
        changed[position] ^= 0x80
        return bytes(changed)

    change(redis, live, "sealed", flip)
    assert_unreadable(redis, store, live, happened)


@pytest.mark.parametrize("value", [b"", b"x", b"|", b"||||||", b"1|1|1|1|1|1|", b"\x80\x04K\x01.", b"{}", b"|" * 50])
def test_anything_else_in_the_place_of_a_record_is_no_session(
    redis: Redis,
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
    value: bytes,
) -> None:
    live = start()
    redis.set(key_of(redis, live), value, keepttl=True)
    assert_unreadable(redis, store, live, happened)


def test_pickle_encrypted_with_our_own_key_is_not_executed(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    live = start()
    attack = b"cposix\nsystem\n(S'touch /tmp/pickled'\ntR."
    replace_sealed(redis, store, live, attack)
    assert_unreadable(redis, store, live, happened)


def test_a_record_of_another_kind_of_value_is_no_session(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    key = key_of(redis, live)
    redis.delete(key)
    redis.hset(key, "sealed", "x")
    assert isinstance(store.load(live.id, "due"), EndedSession)


def test_a_record_moved_to_another_key_is_no_session(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    mine, yours = start(), start(account=BOB)
    redis.copy(key_of(redis, yours), key_of(redis, mine), replace=True)
    assert_unreadable(redis, store, mine, happened)
    assert isinstance(store.load(yours.id, "never"), LoadedSession)


def test_restored_record_stays_dead_after_account_revocation(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession]
) -> None:
    """An attacker with write access to Redis puts back a copy from before the revocation."""
    live = start()
    key = key_of(redis, live)
    kept = redis.dump(key)
    store.revoke_account(ALICE)
    redis.restore(key, IDLE * 1000, kept, replace=True)
    assert store.load(live.id, "now") == EndedSession("everywhere")


def test_restored_epoch_can_not_move_the_absolute_end(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    """An attacker who can write to Redis can restore record and epoch: docs/threats.md says so."""
    live = start()
    key = key_of(redis, live)
    kept = redis.dump(key)
    store.revoke_account(ALICE)
    redis.delete(live.keys.epoch)
    redis.restore(key, ABSOLUTE * 3000, kept, replace=True)
    assert isinstance(store.load(live.id, "never"), LoadedSession)
    pass_time(ABSOLUTE)
    assert redis.exists(key)
    assert store.load(live.id, "now") == EndedSession("absolute")


def test_an_index_that_was_changed_makes_no_error(
    redis: Redis, store: SessionRepository, start: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = start()
    redis.hset(redis.keys("*:index")[0], digest_of(live.id), "nonsense")
    pass_time(IDLE + 1)
    assert store.load(live.id, "due") == EndedSession("unknown")
    assert isinstance(store.load(start().id, "due"), LoadedSession)


# -- Key rings and nonces --------------------------------------------------------------------------------------


def test_secret_rotation_keeps_sessions_until_it_is_retired(
    redis: Redis, start: Callable[..., LoadedSession], make_app: Callable[..., Flask], overrides: dict[str, Any]
) -> None:
    """Retiring the old secret ends the sessions that were not encrypted again."""
    live = start(data={"a": 1})
    old, new = overrides["SECRET_KEY"], ANOTHER
    rotated: SessionRepository = (
        make_app(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[old]).extensions["sessions_core"].repository
    )
    found = rotated.load(live.id, "never")
    assert isinstance(found, LoadedSession)
    assert found.record.data == {"a": 1}
    retired: SessionRepository = make_app(SECRET_KEY=new).extensions["sessions_core"].repository
    assert retired.load(live.id, "never") == EndedSession("unknown")
    assert rotated.save(found) == "saved"  # sealed with the new key from now on
    assert isinstance(retired.load(live.id, "never"), LoadedSession)


def test_concurrent_consumers_of_a_nonce_have_one_winner(store: SessionRepository) -> None:
    for number in range(20):
        spent = together(*[lambda number=number: store.consume_nonce(f"nonce{number}", 60)] * 12)  # type: ignore[misc]
        assert sorted(spent) == [False] * 11 + [True]


def test_consumed_nonce_is_forgotten_when_its_time_is_over(
    redis: Redis, store: SessionRepository, pass_time: TimeMachine
) -> None:
    assert store.consume_nonce("a nonce", 60)
    assert 0 < redis.ttl(f"{REDIS_PREFIX}nonce:a nonce") <= 60
    pass_time(59)
    assert not store.consume_nonce("a nonce", 60)
    pass_time(2)
    assert redis.keys("*") == []


@pytest.mark.parametrize("seconds", [0, -5])
def test_nonce_without_lifetime_is_still_consumed(store: SessionRepository, seconds: int) -> None:
    assert store.consume_nonce("a nonce", seconds)
    assert not store.consume_nonce("a nonce", seconds)


def test_every_key_has_the_prefix_and_every_record_an_end(redis: Redis, make_app: Callable[..., Flask]) -> None:
    store: SessionRepository = make_app(SESSIONS_CORE_REDIS_PREFIX="mine:").extensions["sessions_core"].repository
    live = store.create(SessionRecord(handle="sess_1", account=ALICE, data={}), IDLE, ABSOLUTE)
    store.consume_nonce("a nonce", 60)
    keys = redis.keys("*")
    assert all(key.startswith(b"mine:") for key in keys)
    assert all(redis.pttl(key) > 0 for key in keys)
    store.rotate(live)
    store.revoke_account(ALICE)
    store.revoke_everybody()
    assert all(key.startswith(b"mine:") for key in redis.keys("*"))


# -- Many sessions of one account --------------------------------------------------------------------------------


def test_sign_in_over_the_limit_ends_the_oldest_session(
    make_app: Callable[..., Flask], redis: Redis, happened: list[events.Event]
) -> None:
    services = make_app(SESSIONS_CORE_SESSIONS_PER_ACCOUNT=3).extensions["sessions_core"]
    store, lifecycle = services.repository, services.lifecycle
    lives = [
        lifecycle.create(SessionRecord(handle=f"sess_{n}", account=ALICE, data={}), IDLE, ABSOLUTE + n)
        for n in range(5)
    ]
    found = [store.load(live.id, "never") for live in lives]
    assert [isinstance(each, LoadedSession) for each in found] == [False, False, True, True, True]
    assert found[:2] == [EndedSession("limit"), EndedSession("limit")]
    ended = [(event.handle, event.reason) for event in happened if isinstance(event, events.SessionEnded)]
    assert ended == [("sess_0", "limit"), ("sess_1", "limit")]
    assert len(redis.keys("*:session:*")) == 3


def test_repeated_sign_ins_keep_the_index_bounded(start: Callable[..., LoadedSession], redis: Redis) -> None:
    for number in range(200):
        start(handle=f"sess_{number}")
    [index] = redis.keys("*:index")
    assert redis.hlen(index) <= 20 + 100 + 1
    assert len(redis.keys("*:session:*")) == 20


def test_expired_sessions_do_not_count_against_the_limit(
    start: Callable[..., LoadedSession], store: SessionRepository, pass_time: TimeMachine
) -> None:
    for number in range(20):
        start(handle=f"sess_old_{number}")
    pass_time(IDLE + 1)
    fresh = [start(handle=f"sess_{number}") for number in range(20)]
    assert all(isinstance(store.load(live.id, "never"), LoadedSession) for live in fresh)


# -- Answers that were lost, keys that were touched --------------------------------------------------------------


def test_resent_rotation_is_done_once(
    start: Callable[..., LoadedSession], store: SessionRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start()
    monkeypatch.setattr(secrets, "token_bytes", bytes)
    first, second = store.rotate(live), store.rotate(live)
    assert first is not None
    assert second is not None
    assert first.id == second.id
    assert isinstance(store.load(first.id, "never"), LoadedSession)
    assert isinstance(store.load(live.id, "never"), EndedSession)


def test_record_without_an_expiry_still_rotates_and_ends(
    start: Callable[..., LoadedSession], store: SessionRepository, redis: Redis
) -> None:
    live = start()
    redis.persist(key_of(redis, live))
    moved = store.rotate(live)
    assert moved is not None
    assert 0 < redis.pttl(key_of(redis, moved)) <= ABSOLUTE * 1000


def test_revocation_reason_outlives_the_idle_end(
    start: Callable[..., LoadedSession], store: SessionRepository, pass_time: TimeMachine
) -> None:
    """The reason stays `everywhere` although the session's time is up too."""
    live = start()
    store.revoke_account(ALICE)
    pass_time(IDLE + 1)
    assert store.load(live.id, "never") == EndedSession("everywhere")
