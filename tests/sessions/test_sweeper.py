"""The janitor: what a crash or a hand in the database left behind is put right, and nothing else is touched."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import StoreUnavailable
from sessions_core.sessions import repository
from sessions_core.sessions.record import EndedSession, LoadedSession, SessionRecord
from sessions_core.sessions.repository import SessionRepository
from sessions_core.sessions.sweeper import Sweeper
from sessions_core.settings import LONGEST
from sessions_core.storage import scripts
from sessions_core.storage.connection import Script
from sessions_core.web.services import Services

from ..actors import together
from ..constants import ABSOLUTE, ALICE, ANOTHER, BOB, DAY, HOUR, IDLE, MINUTE, REDIS_PREFIX
from ..stored import change, key_of, link_of, round_trips
from ..time_machine import TimeMachine


@pytest.fixture
def sweeper(services: Services) -> Sweeper:
    return services.sweeper


NOTHING = dict.fromkeys(("dead", "clock", "lost", "unreadable", "foreign", "resealed", "entries"), 0)


def index_of(redis: Redis) -> bytes:
    [index] = redis.keys("*:index")
    return index


def entry_of(redis: Redis, live: LoadedSession) -> bytes | None:
    return redis.hget(index_of(redis), live.keys.digest)


def kept(redis: Redis) -> dict[bytes, Any]:
    """Everything in Redis, to be compared."""
    return {key: redis.hgetall(key) if redis.type(key) == b"hash" else redis.get(key) for key in redis.keys("*")}


def clocks(redis: Redis) -> dict[bytes, int]:
    """When each key ends, in seconds of this test's own clock, to be compared with `pytest.approx`."""
    return {key: time.monotonic() + redis.pttl(key) / 1000 for key in redis.keys("*")}


def test_sweep_of_healthy_data_changes_nothing(
    redis: Redis,
    store: SessionRepository,
    sweeper: Sweeper,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
    happened: list[events.Event],
) -> None:
    lives = [start(), start(account=BOB), start(account="", data={"a": 1})]
    moved = store.rotate(lives[0])
    store.revoke(start(wallet="ended"), "revoked")
    pass_time(10 * MINUTE)
    store.load(lives[1].id, "due")
    happened.clear()
    before, ends = kept(redis), clocks(redis)
    assert sweeper.sweep() == NOTHING
    assert kept(redis) == before
    assert clocks(redis) == pytest.approx(ends, abs=0.1)
    assert happened == []
    assert moved is not None


def test_sweep_restores_the_idle_clock_of_a_persistent_record(
    redis: Redis,
    store: SessionRepository,
    sweeper: Sweeper,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
) -> None:
    live = start()
    pass_time(10 * MINUTE)
    redis.persist(key_of(redis, live))
    assert sweeper.sweep() == NOTHING | {"clock": 1}
    assert (IDLE - 10 * MINUTE - 5) * 1000 < redis.pttl(key_of(redis, live)) <= (IDLE - 10 * MINUTE) * 1000
    assert isinstance(store.load(live.id, "never"), LoadedSession)
    assert sweeper.sweep() == NOTHING


@pytest.mark.parametrize("passed", [IDLE + 1, ABSOLUTE + 1])
def test_sweep_deletes_a_persistent_record_past_its_end(
    redis: Redis,
    store: SessionRepository,
    sweeper: Sweeper,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
    passed: int,
) -> None:
    live = start()
    redis.persist(key_of(redis, live))
    pass_time(passed)
    assert sweeper.sweep() == NOTHING | {"dead": 1}
    assert redis.keys("*:session:*") == []
    assert store.load(live.id, "never") == EndedSession("idle" if passed < ABSOLUTE else "absolute")


@pytest.mark.parametrize("entry", [None, b"", b"nonsense", b"sess_1|0|0|", b"another|1|2|"])
def test_session_missing_in_the_index_is_listed_again(
    redis: Redis, store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession], entry: bytes | None
) -> None:
    live = start()
    right = entry_of(redis, live)
    if entry is None:
        redis.delete(index_of(redis))
        assert store.find_living(ALICE, live.record.handle) is None
    else:
        redis.hset(index_of(redis), live.keys.digest, entry)
    assert sweeper.sweep() == NOTHING | {"lost": 1}
    # The idle end follows from the key's TTL, to the millisecond.
    *same, idle_end, reason = (entry_of(redis, live) or b"").split(b"|")
    *others, before, _ = (right or b"").split(b"|")
    assert (same, reason) == (others, b"")
    assert abs(int(idle_end) - int(before)) <= 5
    assert redis.pttl(index_of(redis)) > (ABSOLUTE + DAY - 5) * 1000
    assert store.revoke_handle(ALICE, live.record.handle, "revoked").ended == 1
    assert sweeper.sweep() == NOTHING


def test_record_without_clock_and_entry_counts_as_both(
    redis: Redis, store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    redis.delete(index_of(redis))
    redis.persist(key_of(redis, live))
    assert sweeper.sweep() == NOTHING | {"clock": 1, "lost": 1}
    assert sweeper.sweep() == NOTHING


def test_a_visitor_s_record_is_in_no_index_and_that_is_right(
    redis: Redis, store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession]
) -> None:
    live = start(account="")
    redis.persist(key_of(redis, live))
    assert sweeper.sweep() == NOTHING | {"clock": 1}
    assert redis.keys("*:index") == []


def test_sweep_drops_index_entries_of_expired_sessions(
    redis: Redis,
    store: SessionRepository,
    sweeper: Sweeper,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
) -> None:
    """Other entries stay."""
    gone, ended = start(absolute=HOUR, wallet="gone"), start(wallet="ended")
    live = start(idle=ABSOLUTE * 5, absolute=ABSOLUTE * 5)
    redis.hset(index_of(redis), "no digest", "nonsense")
    pass_time(HOUR + DAY + 1)
    assert sweeper.sweep() == NOTHING | {"entries": 2}
    assert entry_of(redis, gone) is None
    assert entry_of(redis, ended) is not None
    assert [each.record.handle for each in store.living(ALICE)] == [live.record.handle]
    assert sweeper.sweep() == NOTHING


def test_an_index_that_would_never_expire_gets_its_end_back(
    redis: Redis, store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    index = index_of(redis)
    redis.persist(index)
    assert sweeper.sweep() == NOTHING
    assert (ABSOLUTE + DAY - 5) * 1000 < redis.pttl(index) <= (ABSOLUTE + DAY) * 1000
    redis.persist(index)
    store.revoke(live, "revoked")
    sweeper.sweep()
    assert 0 < redis.pttl(index) <= (ABSOLUTE + DAY) * 1000


def test_index_with_only_expired_entries_is_deleted(
    redis: Redis,
    store: SessionRepository,
    sweeper: Sweeper,
    start: Callable[..., LoadedSession],
    pass_time: TimeMachine,
) -> None:
    start()
    redis.persist(index_of(redis))
    pass_time(ABSOLUTE + DAY + 1)
    assert sweeper.sweep() == NOTHING | {"entries": 1}
    assert redis.keys("*") == []


def test_sweep_deletes_and_reports_a_corrupted_record(
    redis: Redis,
    store: SessionRepository,
    sweeper: Sweeper,
    start: Callable[..., LoadedSession],
    happened: list[events.Event],
) -> None:
    live = start()
    key = key_of(redis, live)
    change(redis, live, "sealed", lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]))
    redis.set(f"{REDIS_PREFIX}{{AAAAAAAAAAAA}}:session:".encode() + b"0" * 64, b"no record at all")
    happened.clear()
    assert sweeper.sweep() == NOTHING | {"unreadable": 2}
    assert redis.keys("*:session:*") == []
    assert events.RecordUnreadable(key=key.decode()) in happened
    assert len(happened) == 2


def test_sweep_with_another_secret_ends_no_session(
    redis: Redis,
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    make_app: Callable[..., Flask],
    happened: list[events.Event],
) -> None:
    # A shell without SESSION_SECRET, or with the one of before: its sweep must not sign everybody out.
    lives = [start(), start(account=BOB), start(account="")]
    redis.persist(key_of(redis, lives[2]))
    before, ends = kept(redis), clocks(redis)
    stranger: Sweeper = make_app(SECRET_KEY=ANOTHER).extensions["sessions_core"].sweeper
    happened.clear()
    assert stranger.sweep() == NOTHING | {"foreign": 3}
    assert list(stranger.every()) == []
    assert happened == [], "thousands of events would push out what really happened"
    assert kept(redis) == before
    assert all(isinstance(store.load(live.id, "never"), LoadedSession) for live in lives)
    loose = key_of(redis, lives[2])
    assert 0 < redis.ttl(loose) <= 30 * DAY, "yet nothing stays forever"
    assert clocks(redis) | {loose: 0} == pytest.approx(ends | {loose: 0}, abs=0.1)


def test_an_epoch_without_a_clock_gets_one(
    redis: Redis, services: Services, start: Callable[..., LoadedSession]
) -> None:
    place = start().keys
    redis.set(place.epoch, 3)
    services.sweeper.sweep()
    assert LONGEST < redis.ttl(place.epoch) <= LONGEST + DAY
    assert redis.get(place.epoch) == b"3"


def test_sweep_deletes_records_older_than_their_epoch(
    redis: Redis, store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession]
) -> None:
    """The browser still learns why its session ended."""
    # As it is when the record arrived after the revocation had looked for it.
    mine, yours = start(), start(account=BOB)
    redis.incr(mine.keys.epoch)
    assert sweeper.sweep() == NOTHING | {"dead": 1}
    assert store.load(mine.id, "never") == EndedSession("everywhere")
    store.revoke_everybody()
    fresh = start(wallet="after")
    assert sweeper.sweep() == NOTHING | {"dead": 1}
    assert store.load(yours.id, "never") == EndedSession("revoked")
    assert isinstance(store.load(fresh.id, "never"), LoadedSession)
    assert len(redis.keys("*:session:*")) == 1


def test_a_revoked_record_that_was_put_back_is_deleted_again(
    redis: Redis, store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession]
) -> None:
    live = start()
    key = key_of(redis, live)
    dump = redis.dump(key)
    store.revoke(live, "signed_out")
    redis.restore(key, IDLE * 1000, dump)
    assert sweeper.sweep() == NOTHING | {"dead": 1}
    assert store.load(live.id, "never") == EndedSession("signed_out")


def test_sweep_encrypts_records_with_the_newest_secret(
    redis: Redis,
    store: SessionRepository,
    start: Callable[..., LoadedSession],
    make_app: Callable[..., Flask],
    overrides: dict[str, Any],
    pass_time: TimeMachine,
) -> None:
    """After that the old secret can be dropped."""
    lives = [start(data={"a": 1}), start(account=BOB), start(account="", data={"b": 2})]
    pass_time(10 * MINUTE)
    ends = clocks(redis)
    rotated: Services = make_app(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[overrides["SECRET_KEY"]]).extensions[
        "sessions_core"
    ]
    assert rotated.sweeper.sweep() == NOTHING | {"resealed": 3}
    assert rotated.sweeper.sweep() == NOTHING
    assert clocks(redis) == pytest.approx(ends, abs=0.1)
    retired: SessionRepository = make_app(SECRET_KEY=ANOTHER).extensions["sessions_core"].repository
    for live in lives:
        found = retired.load(live.id, "never")
        assert isinstance(found, LoadedSession)
        assert found.record == rotated.repository.load(live.id, "never").record  # type: ignore[union-attr]
    assert [each.record.data for each in retired.living(ALICE)] == [{"a": 1}]
    assert store.load(lives[0].id, "never") == EndedSession("unknown"), (
        "a process that was not restarted can't read it"
    )


def test_prefix_may_hold_redis_wildcard_characters(make_app: Callable[..., Flask], redis: Redis) -> None:
    odd, plain = (
        make_app(SESSIONS_CORE_REDIS_PREFIX=prefix).extensions["sessions_core"] for prefix in ("a[b]*?\\:", "ab:")
    )
    for ours in (odd, plain):
        ours.repository.create(SessionRecord(handle="sess_1", account=ALICE, data={}), IDLE, ABSOLUTE)
    for key in redis.keys("*:index"):
        redis.delete(key)
    assert [each.record.account for each in odd.sweeper.every()] == [ALICE]
    assert odd.sweeper.sweep() == NOTHING | {"lost": 1}
    assert plain.sweeper.sweep() == NOTHING | {"lost": 1}


def test_wrong_clock_of_ours_ends_no_session(
    store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = start()
    now = repository.time.time
    monkeypatch.setattr(repository.time, "time", lambda: now() + 2 * ABSOLUTE)
    assert sweeper.sweep() == NOTHING
    monkeypatch.undo()
    assert isinstance(store.load(live.id, "never"), LoadedSession)


def test_a_sweep_that_loses_redis_says_so(
    store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    start()

    def gone(*_: Any) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(link_of(store), "run_each", gone)
    with pytest.raises(StoreUnavailable):
        sweeper.sweep()


def test_sweep_spares_a_session_that_just_revoked_the_others(
    store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The revocation happens while the sweep looks at its record."""
    live, other = start(wallet="mine"), start(wallet="other")
    run_each = link_of(store).run_each

    def revoke_first(script: Script, calls: Any) -> Any:
        if script is scripts.REPAIR and live.keys.record in [keys[0] for keys, _ in calls]:
            monkeypatch.undo()
            assert store.revoke_others(live).ended == 1
        return run_each(script, calls)

    monkeypatch.setattr(link_of(store), "run_each", revoke_first)
    sweeper.sweep()
    assert isinstance(store.load(live.id, "never"), LoadedSession)
    assert store.load(other.id, "never") == EndedSession("revoked")


@pytest.mark.parametrize("secret", ["the same", "rotated"])
def test_a_sweep_never_harms_a_live_session_that_is_in_use(
    redis: Redis,
    store: SessionRepository,
    sweeper: Sweeper,
    start: Callable[..., LoadedSession],
    make_app: Callable[..., Flask],
    overrides: dict[str, Any],
    happened: list[events.Event],
    secret: str,
) -> None:
    sweeper, mender = store, sweeper
    if secret == "rotated":
        app = make_app(SECRET_KEY=ANOTHER, SECRET_KEY_FALLBACKS=[overrides["SECRET_KEY"]])
        ours: Services = app.extensions["sessions_core"]
        sweeper, mender = ours.repository, ours.sweeper

    def write(session_id: str, steps: int = 6) -> str:
        """Save, slide, rotate, and end all others, like the requests of a busy session; return its last id."""
        for step in range(steps):
            while True:
                live = sweeper.load(session_id, "now")
                assert isinstance(live, LoadedSession)
                if step % 3 == 2:
                    moved = sweeper.rotate(live)
                    if moved is not None:
                        session_id = moved.id
                        break
                elif step % 3 == 1:
                    if sweeper.revoke_others(live) is not None:
                        break
                else:
                    live.record.data["step"] = step
                    if sweeper.save(live) == "saved":
                        break
        return session_id

    def sweep() -> dict[str, int]:
        rounds = [mender.sweep() for _ in range(4)]
        return {name: sum(each[name] for each in rounds) for name in NOTHING}

    for number in range(50):
        busy, quiet, visitor = start(handle=f"sess_{number}"), start(account=BOB), start(account="")
        last_id, swept = together(lambda busy=busy: write(busy.id), sweep)  # type: ignore[misc]
        found = sweeper.load(last_id, "never")
        assert isinstance(found, LoadedSession), f"round {number}"
        assert found.record.data["step"] == 3
        assert redis.pttl(key_of(redis, found)) > (IDLE - 60) * 1000
        assert [each.record.handle for each in sweeper.living(ALICE)] == [f"sess_{number}"]
        for other in (quiet, visitor):
            assert isinstance(sweeper.load(other.id, "never"), LoadedSession)
        assert {name for name, count in swept.items() if count} <= {"resealed"}
        for live in (found, quiet, visitor):
            assert sweeper.revoke(live, "revoked")
    assert not any(isinstance(event, events.RecordUnreadable) for event in happened)


# -- In pages ----------------------------------------------------------------------------------------------------


def test_sweep_costs_few_round_trips(
    store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One each for SCAN, the records, the repairs, the indexes and the epochs of a page, whatever it holds."""
    for number in range(60):
        start(account=f"{ALICE}{number}")
    assert sweeper.sweep() == NOTHING  # and Redis knows the scripts now
    exchanges = round_trips(link_of(store), monkeypatch)
    assert sweeper.sweep() == NOTHING
    assert len(exchanges) <= 5


def test_a_list_of_all_sessions_costs_few_round_trips(
    store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(60):
        start(account=f"{ALICE}{number}")
    exchanges = round_trips(link_of(store), monkeypatch)
    assert len(list(sweeper.every())) == 60
    assert len(exchanges) <= 3, "SCAN, the records, and perhaps the clock"


def test_sweep_goes_on_from_a_place(
    redis: Redis, store: SessionRepository, sweeper: Sweeper, start: Callable[..., LoadedSession]
) -> None:
    """One that stopped after its first page finds the rest from there, and nothing twice."""
    for number in range(1500):
        start(account=f"{ALICE}{number}")
    for key in redis.scan_iter("*:session:*", count=1000):
        redis.persist(key)
    found = Counter[str]()
    _, place = next(sweeper.steps(found))
    before = found["clock"]
    assert 0 < before < 1500
    for _ in sweeper.steps(found, place):
        pass
    assert found["clock"] == 1500
    assert sweeper.sweep() == NOTHING


def test_records_that_can_not_be_decrypted_are_counted(
    redis: Redis, sweeper: Sweeper, start: Callable[..., LoadedSession], rotated: Callable[..., Services]
) -> None:
    start()
    broken = start(account=BOB).keys.record
    redis.set(broken, b"x" + bytes(redis.get(broken) or b"")[1:-1] + b"y", keepttl=True)
    assert len(list(sweeper.every())) == 1
    assert sweeper.unread == {"unreadable": 1}
    stranger = rotated(()).sweeper
    assert list(stranger.every()) == []
    assert stranger.unread == {"foreign": 2}
