"""The life of a session: what each step changes, what it announces, and that no step can be half done."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.access.policy import SessionType
from sessions_core.errors import StoreUnavailable
from sessions_core.sessions.lifecycle import Lifecycle
from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.sessions.repository import SessionRepository
from sessions_core.sign_in.accounts import Account, parse
from sessions_core.web.services import Services

from ..actors import Wallet
from ..constants import ALICE_ACCOUNT as ALICE
from ..constants import BOB_ACCOUNT as BOB
from ..constants import HOUR, MINUTE
from ..servers import commands_run
from ..time_machine import TimeMachine


@pytest.fixture
def lifecycle(services: Services) -> Lifecycle:
    return services.lifecycle


@pytest.fixture
def owner() -> Account:
    return ALICE


@pytest.fixture
def repository(services: Services) -> SessionRepository:
    return services.repository


def names(happened: list[events.Event]) -> list[str]:
    return [event.name for event in happened]


def test_a_sign_in_starts_both_clocks_and_names_the_session(
    sign_in: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    live = sign_in(wallet="A wallet", remember=True, data={"a": 1})
    record = live.record
    assert (record.account, record.session_type, record.wallet, record.remember) == (
        str(ALICE),
        "standard",
        "A wallet",
        True,
    )
    assert live.idle_expires_at == record.created_at + 30 * MINUTE * 1000
    assert live.absolute_expires_at == record.created_at + 12 * HOUR * 1000
    assert record.data.keys() == {"a", "csrf_token"}
    assert happened == [events.SessionCreated(handle=record.handle, account=str(ALICE), session_type="standard")]


def test_a_session_type_brings_its_own_clocks(lifecycle: Lifecycle) -> None:
    live = lifecycle.start(ALICE, SessionType("standard", "sess_", 15 * MINUTE, 24 * HOUR, ()))
    assert (live.idle_timeout_ms, live.absolute_expires_at - live.record.created_at) == (
        15 * MINUTE * 1000,
        24 * HOUR * 1000,
    )


def test_handle_id_and_csrf_secret_are_fresh_and_unrelated(sign_in: Callable[..., LoadedSession]) -> None:
    lives = [sign_in() for _ in range(200)]
    assert len({live.record.handle for live in lives}) == 200
    assert len({live.id for live in lives}) == 200
    assert len({live.record.data["csrf_token"] for live in lives}) == 200
    for live in lives:
        assert re.fullmatch(r"sess_[A-Za-z0-9_-]{16}", live.record.handle)
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", live.record.data["csrf_token"])
        assert live.record.handle[5:] not in live.id


def test_a_csrf_secret_that_came_with_the_data_is_not_taken_over(sign_in: Callable[..., LoadedSession]) -> None:
    assert sign_in(data={"csrf_token": "the attacker's"}).record.data["csrf_token"] != "the attacker's"


def test_the_data_that_was_given_is_not_changed(sign_in: Callable[..., LoadedSession]) -> None:
    data = {"a": 1}
    sign_in(data=data).record.data["b"] = 2
    assert data == {"a": 1}


def test_a_sign_in_over_a_session_ends_it_and_says_so_in_order(
    sign_in: Callable[..., LoadedSession], repository: SessionRepository, happened: list[events.Event]
) -> None:
    before = sign_in()
    happened.clear()
    after = sign_in(BOB, replacing=before)
    assert repository.load(before.id, "now") == EndedSession("replaced")
    assert isinstance(repository.load(after.id, "never"), LoadedSession)
    assert sorted(names(happened)) == ["session.created", "session.ended", "wallet.changed"]


def test_sign_in_over_an_ended_session_is_a_plain_sign_in(
    sign_in: Callable[..., LoadedSession],
    lifecycle: Lifecycle,
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    before = sign_in()
    lifecycle.revoke(before, "revoked")
    happened.clear()
    after = sign_in(replacing=before)
    assert repository.load(before.id, "now") == EndedSession("revoked")
    assert isinstance(repository.load(after.id, "never"), LoadedSession)
    assert names(happened) == ["session.created"]


def test_failed_sign_in_keeps_the_former_session(
    redis: Redis, sign_in: Callable[..., LoadedSession], repository: SessionRepository, happened: list[events.Event]
) -> None:
    before = sign_in()
    happened.clear()
    redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable):
            sign_in(BOB, replacing=before)
    finally:
        redis.config_set("maxmemory", 0)
    assert isinstance(repository.load(before.id, "never"), LoadedSession)
    assert len(redis.keys("*:session:*")) == 1
    assert happened == []


def test_two_accounts_at_the_same_moment_get_two_sessions(
    sign_in: Callable[..., LoadedSession], redis: Redis
) -> None:
    barrier, lives = threading.Barrier(16), []

    def enter(account: Account) -> None:
        barrier.wait()
        lives.append(sign_in(account))

    threads = [threading.Thread(target=enter, args=(parse(Wallet().account()),)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({live.id for live in lives}) == len(redis.keys("*:session:*")) == 16


def test_activity_keeps_alive_at_most_once_a_minute(
    repository: SessionRepository, redis: Redis, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = sign_in()
    written = []
    for second in range(0, 200, 10):
        redis.config_resetstat()
        assert isinstance(repository.load(live.id, "due"), LoadedSession)
        if "pexpire" in commands_run(redis):
            written.append(second)
        pass_time(10)
    assert written == [60, 120, 180]


def test_keep_alive_of_an_ended_session_gives_the_reason(
    repository: SessionRepository, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = sign_in()
    pass_time(30 * MINUTE + 1)
    assert repository.load(live.id, "due") == EndedSession("idle")
    assert repository.load("a" * 55, "due") == EndedSession("unknown")


def test_renewing_restarts_the_idle_clock_only(
    lifecycle: Lifecycle, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    live = sign_in()
    pass_time(29 * MINUTE)
    happened.clear()
    renewed = lifecycle.keep_alive(live)
    assert isinstance(renewed, LoadedSession)
    assert renewed.id == live.id
    assert abs(renewed.idle_expires_at - renewed.now - 30 * MINUTE * 1000) < 50
    assert abs(renewed.absolute_expires_at - (live.absolute_expires_at - 29 * MINUTE * 1000)) <= 1
    assert happened == [events.SessionRenewed(handle=live.record.handle, account=str(ALICE))]


def test_renewing_near_the_end_gives_only_the_rest(
    lifecycle: Lifecycle, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = sign_in()
    for _ in range(12 * HOUR // (20 * MINUTE) - 1):
        pass_time(20 * MINUTE)
        assert isinstance(lifecycle.keep_alive(live), LoadedSession)
    pass_time(15 * MINUTE)
    renewed = lifecycle.keep_alive(live)
    assert isinstance(renewed, LoadedSession)
    assert renewed.idle_expires_at == renewed.absolute_expires_at
    assert 4 * MINUTE * 1000 < renewed.absolute_expires_at - renewed.now <= 5 * MINUTE * 1000
    pass_time(5 * MINUTE)
    assert lifecycle.keep_alive(live) == EndedSession("absolute")


def test_renewing_an_ended_session_gives_the_reason(
    lifecycle: Lifecycle, sign_in: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    live = sign_in()
    lifecycle.revoke(live, "wallet_changed")
    happened.clear()
    assert lifecycle.keep_alive(live) == EndedSession("wallet_changed")
    assert happened == []


def test_concurrent_renewal_and_revocation_end_the_session(
    lifecycle: Lifecycle, sign_in: Callable[..., LoadedSession], repository: SessionRepository, redis: Redis
) -> None:
    for _ in range(100):
        live = sign_in()
        barrier = threading.Barrier(2)

        def renew(live: LoadedSession = live, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            lifecycle.keep_alive(live)

        thread = threading.Thread(target=renew)
        thread.start()
        barrier.wait()
        assert lifecycle.revoke(live, "revoked")
        thread.join()
        assert repository.load(live.id, "now") == EndedSession("revoked")
    assert redis.keys("*:session:*") == []


def test_rotating_changes_id_and_csrf_secret(
    lifecycle: Lifecycle,
    sign_in: Callable[..., LoadedSession],
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    live = sign_in(data={"a": 1})
    secret = live.record.data["csrf_token"]
    happened.clear()
    rotated = lifecycle.rotate(live)
    assert isinstance(rotated, LoadedSession)
    assert rotated.id != live.id
    assert repository.load(live.id, "now") == EndedSession("rotated")
    found = repository.load(rotated.id, "never")
    assert isinstance(found, LoadedSession)
    assert found.record.data["a"] == 1
    assert found.record.data["csrf_token"] != secret
    assert found.record.handle == live.record.handle
    assert happened == [
        events.SessionRotated(handle=live.record.handle, account=str(ALICE)),
        events.FormerIdRefused(handle=live.record.handle, account=str(ALICE)),
    ]


def test_rotating_an_ended_session_returns_nothing(
    lifecycle: Lifecycle, sign_in: Callable[..., LoadedSession], redis: Redis, happened: list[events.Event]
) -> None:
    live = sign_in()
    lifecycle.revoke(live, "revoked")
    happened.clear()
    assert lifecycle.rotate(live) == EndedSession("revoked")
    assert happened == []
    assert redis.keys("*:session:*") == []


def test_a_session_is_revoked_once(
    lifecycle: Lifecycle,
    sign_in: Callable[..., LoadedSession],
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    live = sign_in()
    happened.clear()
    assert [lifecycle.revoke(live, reason) for reason in ("revoked", "signed_out")] == [True, False]
    assert repository.load(live.id, "now") == EndedSession("revoked")
    assert happened == [events.SessionEnded(handle=live.record.handle, account=str(ALICE), reason="revoked")]


def test_concurrent_revocations_announce_one_event(
    lifecycle: Lifecycle, sign_in: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    for _ in range(50):
        live = sign_in()
        happened.clear()
        barrier, outcomes = threading.Barrier(2), []

        def revoke(
            live: LoadedSession = live, barrier: threading.Barrier = barrier, out: list[bool] = outcomes
        ) -> None:
            barrier.wait()
            out.append(lifecycle.revoke(live, "revoked"))

        threads = [threading.Thread(target=revoke) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [False, True]
        assert names(happened) == ["session.ended"]


def test_revoking_an_account_ends_only_its_sessions(
    lifecycle: Lifecycle,
    sign_in: Callable[..., LoadedSession],
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    mine, yours = [sign_in() for _ in range(3)], sign_in(BOB)
    happened.clear()
    lifecycle.revoke_account(ALICE)
    assert [repository.load(live.id, "now") for live in mine] == [EndedSession("everywhere")] * 3
    assert isinstance(repository.load(yours.id, "never"), LoadedSession)
    assert happened == [events.SessionsRevoked(account=str(ALICE), scope="all")]
    assert isinstance(repository.load(sign_in().id, "never"), LoadedSession)


def test_site_wide_revocation_ends_all_sessions(
    lifecycle: Lifecycle,
    sign_in: Callable[..., LoadedSession],
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    lives = [sign_in(), sign_in(BOB)]
    happened.clear()
    lifecycle.revoke_everybody()
    assert [repository.load(live.id, "now") for live in lives] == [EndedSession("revoked")] * 2
    assert happened == [events.SessionsRevoked(account=None, scope="everybody")]
    assert isinstance(repository.load(sign_in().id, "never"), LoadedSession)


def test_the_same_address_on_another_chain_is_another_account(
    lifecycle: Lifecycle, sign_in: Callable[..., LoadedSession], repository: SessionRepository
) -> None:
    elsewhere = sign_in(parse(f"eip155:10:{ALICE.address}"))
    lifecycle.revoke_account(ALICE)
    assert isinstance(repository.load(elsewhere.id, "never"), LoadedSession)


def test_two_apps_on_one_redis_with_two_prefixes_are_separate(
    make_app: Callable[..., Flask], sign_in: Callable[..., LoadedSession], repository: SessionRepository
) -> None:
    other: Services = make_app(SESSIONS_CORE_REDIS_PREFIX="other:").extensions["sessions_core"]
    live = sign_in()
    assert other.repository.load(live.id, "due") == EndedSession("unknown")
    other.lifecycle.revoke_account(ALICE)
    other.lifecycle.revoke_everybody()
    assert isinstance(repository.load(live.id, "due"), LoadedSession)


def test_nothing_that_is_announced_holds_an_id_or_a_secret(
    lifecycle: Lifecycle,
    sign_in: Callable[..., LoadedSession],
    happened: list[events.Event],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level("DEBUG"):
        live = sign_in()
        rotated = lifecycle.rotate(live)
        assert isinstance(rotated, LoadedSession)
        lifecycle.keep_alive(rotated)
        lifecycle.revoke(rotated, "revoked")
        lifecycle.revoke_account(ALICE)
        lifecycle.revoke_everybody()
    assert names(happened) == [
        "session.created",
        "session.rotated",
        "session.renewed",
        "session.ended",
        "session.revoked_all",
        "session.revoked_all",
    ]
    written = repr(happened) + caplog.text
    for secret in (live.id[12:], rotated.id[12:], rotated.record.data["csrf_token"]):
        assert secret not in written
    assert live.record.handle in written
