"""Races, two hundred rounds each: whatever is done at the same moment, what was revoked is dead, and once.

Whether a sign-in began before a revocation is told by the epoch it saw: that is read before anything is sealed. What
had ended before the revocation began saw the old one, and what began after it had ended saw the new one; the rest ran
at the same time, and both answers are right as long as the session lives only with the new one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest
from flask import Flask

from sessions_core import events
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.sessions.lifecycle import Lifecycle
from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.sessions.repository import SessionRepository
from sessions_core.sign_in.accounts import Account, parse
from sessions_core.web.services import Services

from ..actors import together

ROUNDS = 200


@pytest.fixture
def services(make_app: Callable[..., Flask]) -> Services:
    # Loaded machines answer late, and a timeout would be no violation but an end of the round.
    app = make_app(SESSIONS_CORE_SESSIONS_PER_ACCOUNT=200, SESSIONS_CORE_REDIS_TIMEOUT_MS=5000)
    return app.extensions["sessions_core"]


@pytest.fixture
def repository(services: Services) -> SessionRepository:
    return services.repository


@pytest.fixture
def lifecycle(services: Services) -> Lifecycle:
    return services.lifecycle


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(16) as pool:
        yield pool


class Timed(NamedTuple):
    began: int
    ended: int
    result: Any


def timed(job: Callable[[], Any]) -> Timed:
    began = time.perf_counter_ns()
    result = job()
    return Timed(began, time.perf_counter_ns(), result)


def account_of(number: int) -> Account:
    """An account nobody has the key of; the ceremony of signing in has tests of its own."""
    return parse(f"eip155:1:{checksum_address(f'0x{number:040x}')}")


def sign_ins_around(
    pool: ThreadPoolExecutor, start: Callable[[], LoadedSession], revoke: Callable[[], Any], many: int
) -> tuple[list[Timed], Timed]:
    """Have `many` sign in, with a revocation amid them; return both with their times."""
    before = [pool.submit(timed, start) for _ in range(many // 2)]
    revocation = pool.submit(timed, revoke)
    after = [pool.submit(timed, start) for _ in range(many - many // 2)]
    return [each.result() for each in before + after], revocation.result()


def judge(
    repository: SessionRepository, sign_ins: list[Timed], revocation: Timed, seen: Callable[[LoadedSession], int]
) -> Counter[str]:
    """Count what was right and what was not; `seen` is the epoch that counts."""
    newest = max(seen(each.result) for each in sign_ins)
    living: dict[str, set[str]] = {}
    found: Counter[str] = Counter()
    for began, ended, live in sign_ins:
        account = live.record.account
        if account not in living:
            living[account] = {each.record.handle for each in repository.living(account)}
        lives = live.record.handle in living[account]
        late = seen(live) == newest
        found["sign-ins"] += 1
        found["under way"] += not late and ended > revocation.ended
        found["after"] += began > revocation.ended
        found["outlived it"] += lives and (not late or ended < revocation.began)
        found["died of it"] += not lives and (late or began > revocation.ended)
        if not late and ended > revocation.ended:  # and so it is also for who comes with the cookie
            found["outlived it"] += not isinstance(repository.load(live.id, "never"), EndedSession)
    return found


def test_no_sign_in_outlives_a_later_account_revocation(
    repository: SessionRepository, lifecycle: Lifecycle, services: Services, pool: ThreadPoolExecutor
) -> None:
    standard, found = services.policy.standard, Counter[str]()
    for number in range(ROUNDS):
        account = account_of(number)
        lifecycle.start(account, standard)  # so that the old epoch is somebody's in every round
        sign_ins, revocation = sign_ins_around(
            pool,
            lambda account=account: lifecycle.start(account, standard),
            lambda account=account: lifecycle.revoke_account(account),
            100,
        )
        sign_ins.append(timed(lambda account=account: lifecycle.start(account, standard)))
        found += judge(repository, sign_ins, revocation, lambda live: live.epoch)
    assert (found["outlived it"], found["died of it"]) == (0, 0)
    assert found["sign-ins"] == ROUNDS * 101
    assert found["under way"] > 0, "nothing was under way: these rounds show nothing"
    assert found["after"] >= ROUNDS


def test_revoking_others_ends_all_but_the_asking_session(
    repository: SessionRepository, lifecycle: Lifecycle, services: Services, pool: ThreadPoolExecutor
) -> None:
    """Sign-ins run at the same time."""
    standard, found = services.policy.standard, Counter[str]()
    for number in range(ROUNDS):
        account = account_of(number)
        asking = lifecycle.start(account, standard)
        sign_ins, revocation = sign_ins_around(
            pool,
            lambda account=account: lifecycle.start(account, standard),
            lambda asking=asking: repository.revoke_others(asking),
            20,
        )
        sign_ins.append(timed(lambda account=account: lifecycle.start(account, standard)))
        assert revocation.result is not None
        found += judge(repository, sign_ins, revocation, lambda live: live.epoch)
        found["asking"] += isinstance(repository.load(asking.id, "due"), LoadedSession)
    assert (found["outlived it"], found["died of it"]) == (0, 0)
    assert found["asking"] == ROUNDS
    assert found["under way"] > 0


def test_no_session_outlives_a_later_site_wide_revocation(
    repository: SessionRepository, lifecycle: Lifecycle, services: Services, pool: ThreadPoolExecutor
) -> None:
    standard, found = services.policy.standard, Counter[str]()
    for number in range(ROUNDS):
        people = iter([account_of(number * 4 + each % 4) for each in range(20)])
        sign_ins, revocation = sign_ins_around(
            pool,
            lambda people=people: lifecycle.start(next(people), standard),
            lifecycle.revoke_everybody,
            20,
        )
        sign_ins.append(timed(lambda number=number: lifecycle.start(account_of(number), standard)))
        found += judge(repository, sign_ins, revocation, lambda live: live.global_epoch)
    assert (found["outlived it"], found["died of it"]) == (0, 0)
    assert found["under way"] > 0


def test_concurrent_rotations_and_writes_lose_no_saved_data(
    repository: SessionRepository, lifecycle: Lifecycle, services: Services
) -> None:
    """A writer is told `saved` and finds the data under the new id, or `gone` and finds it nowhere. One id lives."""
    violations: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()

    def write(session_id: str, key: str) -> str:
        while isinstance(live := repository.load(session_id, "due"), LoadedSession):
            live.record.data[key] = "written"
            outcome = repository.save(live)
            if outcome != "changed":
                return outcome
        return "gone"

    def rotate(session_id: str) -> LoadedSession | None:
        while isinstance(live := repository.load(session_id, "due"), LoadedSession):
            moved = repository.rotate(live)
            if moved is not None:
                return moved
        return None

    for number in range(ROUNDS):
        account = account_of(number)
        old = lifecycle.start(account, services.policy.standard)
        one, two, *written = together(
            lambda old=old: rotate(old.id),
            lambda old=old: rotate(old.id),
            *(lambda key=key, old=old: write(old.id, key) for key in ("a", "b")),
            lambda old=old: repository.load(old.id, "now") and "read",
        )
        [moved] = [each for each in (one, two) if each is not None]
        new = repository.load(moved.id, "never")
        assert isinstance(new, LoadedSession)
        for key, outcome in zip("ab", written, strict=False):
            outcomes[outcome] += 1
            violations["lost"] += outcome == "saved" and key not in new.record.data
            violations["smuggled in"] += outcome == "gone" and key in new.record.data
        violations["old id"] += repository.load(old.id, "never") != EndedSession("rotated")
        violations["handle"] += new.record.handle != old.record.handle
        violations["two lives"] += len(repository.living(str(account))) != 1
    assert +violations == Counter()
    assert set(outcomes) == {"saved", "gone"}, "only one order came about: these rounds show nothing"


def test_reads_under_way_never_bring_an_old_id_back(
    repository: SessionRepository, lifecycle: Lifecycle, services: Services
) -> None:
    """Activity and renewals write as well; none of them may write to where the session was before."""
    revived = 0
    for number in range(ROUNDS):
        old = lifecycle.start(account_of(number), services.policy.standard)
        moved, *read = together(
            lambda old=old: lifecycle.rotate(old),
            *(
                lambda old=old, keep_alive=keep_alive: repository.load(old.id, keep_alive)
                for keep_alive in ("now", "due", "now", "never")
            ),
        )
        assert moved is not None
        assert {each.reason for each in read if isinstance(each, EndedSession)} <= {"rotated"}
        revived += repository.load(old.id, "now") != EndedSession("rotated")
        revived += not isinstance(repository.load(moved.id, "now"), LoadedSession)
    assert revived == 0


def test_concurrent_revocations_report_one_success(
    repository: SessionRepository, lifecycle: Lifecycle, services: Services, happened: list[events.Event]
) -> None:
    """One caller is told that the session was alive, and one event is announced."""
    told: Counter[int] = Counter()
    announced: Counter[int] = Counter()
    for number in range(ROUNDS):
        account = account_of(number)
        live = lifecycle.start(account, services.policy.standard)
        happened.clear()
        alive = together(
            lambda live=live: lifecycle.revoke(live, "signed_out"),
            lambda live=live, account=account: lifecycle.revoke_handle(account, live.record.handle),
            lambda live=live, account=account: lifecycle.revoke_handle(account, live.record.handle),
        )
        told[sum(alive)] += 1
        announced[len([event for event in happened if isinstance(event, events.SessionEnded)])] += 1
        assert isinstance(repository.load(live.id, "never"), EndedSession)
    assert (told, announced) == ({1: ROUNDS}, {1: ROUNDS})


def test_concurrent_rotation_and_revocation_end_the_session(
    repository: SessionRepository, lifecycle: Lifecycle, services: Services
) -> None:
    outcomes: Counter[str] = Counter()
    for number in range(ROUNDS):
        account = account_of(number)
        live = lifecycle.start(account, services.policy.standard)
        revoke: Callable[[], Any] = (
            lambda live=live: lifecycle.revoke(live, "revoked"),
            lambda live=live, account=account: lifecycle.revoke_handle(account, live.record.handle),
            lambda account=account: lifecycle.revoke_account(account),
            lifecycle.revoke_everybody,
        )[number % 4]
        moved, _ = together(lambda live=live: repository.rotate(live, restart_seconds=3600), revoke)
        outcomes["moved" if moved else "gone"] += 1
        for session_id in (live.id, *([moved.id] if moved else [])):
            outcomes["revived"] += isinstance(repository.load(session_id, "now"), LoadedSession)
        outcomes["revived"] += len(repository.living(str(account)))
    assert outcomes["revived"] == 0
    assert min(outcomes["moved"], outcomes["gone"]) > 0, "only one order came about: these rounds show nothing"


def test_concurrent_sign_ins_respect_the_session_limit(make_app: Callable[..., Flask]) -> None:
    services: Services = make_app(SESSIONS_CORE_SESSIONS_PER_ACCOUNT=3).extensions["sessions_core"]
    for number in range(50):
        account = account_of(number)
        started = together(*[lambda account=account: services.lifecycle.start(account, services.policy.standard)] * 6)
        living = [live for live in started if isinstance(services.repository.load(live.id, "never"), LoadedSession)]
        assert len(living) == 3 == len(services.repository.living(str(account)))
