"""Refresh tokens: one use each, and what becomes of two who hold the same.

The rounds use `Refresh` over real records from real threads; what the guard adds (that a session token was used) is
tested over HTTP at the end, with what clients see.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

import msgspec
import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.errors import SessionExpired, SessionInvalid, StoreUnavailable
from sessions_core.parts.api import Api
from sessions_core.parts.api.errors import TokenInvalid
from sessions_core.parts.api.events import TokenReused
from sessions_core.parts.api.refresh_tokens import FAMILY, GRACE, Refresh, Refreshed
from sessions_core.sessions.record import EndedSession, LoadedSession, account_tag
from sessions_core.sessions.repository import SessionRepository
from sessions_core.sign_in.accounts import parse
from sessions_core.storage import scripts
from sessions_core.web.services import Services

from ...constants import ABSOLUTE, ALICE, BOB, IDLE, MINUTE
from ...new_sessions import with_family
from ...servers import Server, running
from ...snapshot import snapshot, unchanged
from ...stored import everything, link_of
from ...time_machine import TimeMachine, ask_again

T = TypeVar("T")
ROUNDS = 200
AFTER_GRACE = GRACE / 1000 + 1


@pytest.fixture
def services(make_app: Callable[..., Flask]) -> Services:
    # Loaded machines answer late, and a timeout would be no violation but an end of the round.
    return make_app(SESSIONS_CORE_REDIS_TIMEOUT_MS=5000).extensions["sessions_core"]


@pytest.fixture
def pass_time(services: Services, redis: Redis, clock: Any, app_of: Flask) -> TimeMachine:
    return TimeMachine(app_of, redis, clock)


@pytest.fixture
def app_of(services: Services, make_app: Callable[..., Flask]) -> Flask:
    """What the time machine takes: an application with these services."""
    app = make_app()
    app.extensions["sessions_core"] = services
    return app


@pytest.fixture
def repository(services: Services) -> SessionRepository:
    return services.repository


@pytest.fixture
def refresh(services: Services) -> Refresh:
    return services.part(Api).refresh


@pytest.fixture
def enter(services: Services) -> Callable[..., tuple[LoadedSession, str]]:
    """Sign in without cookies; return the session and its first refresh token."""

    def enter(account: str = ALICE) -> tuple[LoadedSession, str]:
        family, *secrets = services.part(Api).refresh.start()
        live = services.lifecycle.start(parse(account), services.policy.standard, prepare=with_family(family))
        return live, services.part(Api).refresh.token(live, *secrets)

    return enter


@pytest.fixture
def signed_in(enter: Callable[..., tuple[LoadedSession, str]]) -> tuple[LoadedSession, str]:
    return enter()


class Crowd:
    """Threads that do the same thing from the same moment, round after round."""

    def __init__(self, size: int) -> None:
        self._barrier = Barrier(size)
        self._pool = ThreadPoolExecutor(size)
        self.size = size

    def __call__(self, job: Callable[[], T]) -> list[T]:
        def run() -> T:
            self._barrier.wait()
            return job()

        return [each.result() for each in [self._pool.submit(run) for _ in range(self.size)]]

    def close(self) -> None:
        self._pool.shutdown()


@pytest.fixture(params=[2, 10, 100])
def crowd(request: pytest.FixtureRequest) -> Iterator[Crowd]:
    crowd = Crowd(request.param)
    yield crowd
    crowd.close()


def read(repository: SessionRepository, live: LoadedSession) -> LoadedSession | EndedSession:
    return repository.load_handle(account_tag(live.record.account), live.record.handle, "never")


def change_family(repository: SessionRepository, live: LoadedSession, **fields: Any) -> None:
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    assert FAMILY.of(found.record).id
    FAMILY.put(found.record, msgspec.structs.replace(FAMILY.of(found.record), **fields))
    assert repository.save(found) == "saved"


def use(repository: SessionRepository, live: LoadedSession) -> None:
    """What the guard does when the session token comes that was in the newest answer."""
    change_family(repository, live, used=True)


def outlast_grace(repository: SessionRepository, live: LoadedSession) -> None:
    """Let the grace pass for one family; the time machine, which ages everything, is too slow for the rounds."""
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    change_family(repository, live, moved_at=FAMILY.of(found.record).moved_at - GRACE - 1000)


def outcome(refresh: Refresh, token: str) -> str:
    """Return the next token, or why there is none."""
    try:
        return refresh.redeem(token).token
    except SessionInvalid as refusal:
        return f"{refusal.code}: {refusal.reason}"


def names(happened: list[events.Event]) -> Counter[str]:
    return Counter(event.name for event in happened)


# -- One use each --------------------------------------------------------------------------------------------


def test_a_refresh_token_names_its_session_and_holds_two_secrets(
    signed_in: tuple[LoadedSession, str], redis: Redis
) -> None:
    live, token = signed_in
    assert re.fullmatch(r"rt_[A-Za-z0-9_-]{12}sess_[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}", token)
    assert live.record.handle in token
    assert live.id not in token
    assert live.record.account not in token


def test_each_refresh_gives_another_token_of_the_same_session(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, happened: list[events.Event]
) -> None:
    live, token = signed_in
    seen = {token}
    for generation in range(1, 6):
        refreshed = refresh.redeem(token)
        token = refreshed.token
        assert token not in seen
        seen.add(token)
        assert refreshed.live.record.handle == live.record.handle
        assert FAMILY.of(refreshed.live.record).generation == generation
    assert names(happened) == {"token.refreshed": 5}
    assert {each.rpartition(".")[0] for each in seen} == {token.rpartition(".")[0]}


def test_refresh_restarts_the_idle_clock_only(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, pass_time: TimeMachine
) -> None:
    """The absolute end never moves."""
    live, token = signed_in
    pass_time(IDLE - 60)
    refreshed = refresh.redeem(token)
    assert refreshed.live.idle_expires_at - refreshed.live.now >= (IDLE - 1) * 1000
    assert abs(refreshed.live.absolute_expires_at - (live.absolute_expires_at - (IDLE - 60) * 1000)) <= 1
    for _ in range(ABSOLUTE // (IDLE - 60) - 1):
        pass_time(IDLE - 60)
        refreshed = refresh.redeem(refreshed.token)
    pass_time(IDLE - 60)
    with pytest.raises(SessionExpired) as refusal:
        refresh.redeem(refreshed.token)
    assert (refusal.value.code, refusal.value.reason) == ("session_expired", "absolute")


def test_refresh_without_activity_leaves_the_idle_clock(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, pass_time: TimeMachine
) -> None:
    """The next tokens come, also to the loser of a race, and the session ends when it would have ended."""
    _, token = signed_in
    pass_time(IDLE - 60)
    refreshed = refresh.redeem(token, keep_alive=False)
    again = refresh.redeem(token, keep_alive=False)
    assert again.token == refreshed.token != token
    for each in (refreshed, again):
        assert each.live.idle_expires_at - each.live.now <= 60 * 1000
    pass_time(61)
    with pytest.raises(SessionExpired) as refusal:
        refresh.redeem(refreshed.token)
    assert refusal.value.reason == "idle"


def test_stored_are_hashes_only(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, redis: Redis, services: Services
) -> None:
    """Sealed besides: so the records are opened, too, before anything is looked for."""
    live, token = signed_in
    tokens = [token]
    for _ in range(3):
        tokens.append(refresh.redeem(tokens[-1]).token)
    found = read(services.repository, live)
    assert isinstance(found, LoadedSession)
    streams = b"".join(redis.dump(key) or b"" for key in redis.keys("*") if redis.type(key) == b"stream")
    for key in redis.keys("*"):
        if redis.type(key) not in (b"string", b"hash"):
            redis.delete(key)  # `everything` reads the others
    whole = everything(redis) + streams + found.plaintext
    assert live.record.handle.encode() in whole, "what is looked for here would be found"
    for each in tokens:
        for secret in each.split(".")[1:]:
            assert secret.encode() not in whole
            assert urlsafe_b64decode(secret + "==") not in whole


# -- Races ---------------------------------------------------------------------------------------------------


def test_concurrent_refreshes_get_the_same_successor(
    crowd: Crowd,
    signed_in: tuple[LoadedSession, str],
    refresh: Refresh,
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    """Tabs refresh together, in every other round after an answer that none of them got. No user is signed out."""
    live, token = signed_in
    for number in range(ROUNDS):
        lost = None
        if number % 2:
            lost = outcome(refresh, token)
            outlast_grace(repository, live)
        tokens = set(crowd(lambda token=token: outcome(refresh, token)))
        assert len(tokens) == 1, f"round {number}: {tokens}"
        [token] = tokens
        assert token.startswith("rt_"), f"round {number}: {token}"
        assert token != lost
        use(repository, live)
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    assert FAMILY.of(found.record).generation == ROUNDS * 3 // 2, "each exchange moved the family on once"
    assert names(happened) == {"token.refreshed": ROUNDS * 3 // 2}


def test_repeatedly_lost_answers_keep_the_session(
    signed_in: tuple[LoadedSession, str],
    refresh: Refresh,
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    """Within the grace and after it, in every order of four."""
    live, token = signed_in
    for number in range(ROUNDS):
        lost = set()
        for step in range(4):
            lost.add(outcome(refresh, token))
            if number >> step & 1:
                outlast_grace(repository, live)
        answer = outcome(refresh, token)
        assert answer.startswith("rt_"), f"round {number}: {answer}"
        if number >> 3 & 1:
            assert answer not in lost
        use(repository, live)
        token = answer
    assert names(happened)["token.reused"] == 0


def test_retry_within_the_grace_gets_the_same_answer(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, repository: SessionRepository, pass_time: TimeMachine
) -> None:
    """Two tabs: one has already used the new token while the request of the other was still on its way."""
    live, token = signed_in
    first = refresh.redeem(token).token
    use(repository, live)
    pass_time(19)
    assert refresh.redeem(token).token == first


def test_used_token_is_a_theft_after_the_grace(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, repository: SessionRepository, pass_time: TimeMachine
) -> None:
    live, token = signed_in
    refresh.redeem(token)
    use(repository, live)
    pass_time(AFTER_GRACE)
    assert outcome(refresh, token) == "session_invalid: token_reused"
    assert read(repository, live) == EndedSession("token_reused")


def test_lost_answer_is_replaced_after_the_grace(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, repository: SessionRepository, pass_time: TimeMachine
) -> None:
    """The lost token is cut off, and the grace starts again."""
    _, token = signed_in
    lost = refresh.redeem(token).token
    pass_time(AFTER_GRACE)
    other = refresh.redeem(token).token
    assert other != lost
    assert refresh.redeem(token).token == other, "the grace starts again"
    assert outcome(refresh, lost) == "session_invalid: token_reused"


def test_a_clock_that_a_process_hears_late_ends_no_session(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, repository: SessionRepository
) -> None:
    """The winner's process may be some milliseconds ahead of the loser's."""
    live, token = signed_in
    first = refresh.redeem(token).token
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    change_family(repository, live, moved_at=found.now + 900, used=True)
    assert refresh.redeem(token).token == first


def test_a_clock_that_was_set_back_makes_no_grace_of_an_hour(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, repository: SessionRepository
) -> None:
    live, token = signed_in
    refresh.redeem(token)
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    change_family(repository, live, moved_at=found.now + 3_600_000, used=True)
    assert outcome(refresh, token) == "session_invalid: token_reused"


# -- Theft ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [True, False], ids=["who then uses the session", "who then only waits"])
@pytest.mark.parametrize("first", ["thief", "victim"])
def test_stolen_refresh_token_ends_the_session(
    enter: Callable[..., tuple[LoadedSession, str]],
    refresh: Refresh,
    repository: SessionRepository,
    happened: list[events.Event],
    first: str,
    used: bool,
) -> None:
    """Thief and owner have the same token. The session ends whichever of them comes first."""
    missed = Counter[str]()
    for number in range(ROUNDS):
        live, stolen = enter()
        for _ in range(number % 3):  # stolen at once, or later
            stolen = refresh.redeem(stolen).token
            use(repository, live)
        happened.clear()
        ones = refresh.redeem(stolen).token
        if used:
            use(repository, live)
        outlast_grace(repository, live)
        others = outcome(refresh, stolen)
        if not used:
            # Nobody can tell this from a lost answer. But now the two hold different tokens.
            assert others.startswith("rt_")
            use(repository, live)
            others = outcome(refresh, ones)
        missed["answered"] += others != "session_invalid: token_reused"
        missed["alive"] += read(repository, live) != EndedSession("token_reused")
        missed["untold"] += names(happened)["token.reused"] != 1
        missed["ended otherwise"] += names(happened)["session.ended"] != 1
    assert +missed == Counter()


def test_owners_second_refresh_finds_a_thief(
    enter: Callable[..., tuple[LoadedSession, str]],
    refresh: Refresh,
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    """The thief only wants tokens to show to other services, and always comes first."""
    missed = 0
    for _ in range(ROUNDS):
        live, victims = enter()
        thiefs = victims
        happened.clear()
        for _ in range(2):
            thiefs = outcome(refresh, thiefs)
            outlast_grace(repository, live) if isinstance(read(repository, live), LoadedSession) else None
            victims = outcome(refresh, victims)
            if isinstance(read(repository, live), LoadedSession):
                use(repository, live)
                outlast_grace(repository, live)
        missed += isinstance(read(repository, live), LoadedSession)
        missed += names(happened)["token.reused"] != 1
    assert missed == 0


def test_simultaneous_theft_is_found_by_the_next_refresh(
    enter: Callable[..., tuple[LoadedSession, str]],
    refresh: Refresh,
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    """Thief and victim refresh at once and get the same token."""
    both, missed = Crowd(2), 0
    for _ in range(ROUNDS):
        live, stolen = enter()
        happened.clear()
        [shared] = set(both(lambda stolen=stolen: outcome(refresh, stolen)))
        assert shared.startswith("rt_")
        refresh.redeem(shared)
        use(repository, live)
        outlast_grace(repository, live)
        missed += outcome(refresh, shared) != "session_invalid: token_reused"
        missed += names(happened)["token.reused"] != 1
    both.close()
    assert missed == 0


@pytest.mark.parametrize("age", [2, 3, 10])
def test_an_older_token_ends_the_session_even_within_the_grace(
    signed_in: tuple[LoadedSession, str],
    refresh: Refresh,
    repository: SessionRepository,
    happened: list[events.Event],
    age: int,
) -> None:
    live, token = signed_in
    newest = token
    for _ in range(age):
        newest = refresh.redeem(newest).token
    happened.clear()
    assert outcome(refresh, token) == "session_invalid: token_reused"
    assert names(happened) == {"token.reused": 1, "session.ended": 1}
    [reused] = [event for event in happened if isinstance(event, TokenReused)]
    assert (reused.handle, reused.account) == (live.record.handle, ALICE)
    assert outcome(refresh, newest) == "session_invalid: token_reused"
    assert names(happened)["token.reused"] == 1, "told once"


def test_concurrent_reuse_of_an_old_token_is_one_theft(
    crowd: Crowd, signed_in: tuple[LoadedSession, str], refresh: Refresh, happened: list[events.Event]
) -> None:
    _, token = signed_in
    refresh.redeem(refresh.redeem(token).token)
    assert set(crowd(lambda: outcome(refresh, token))) == {"session_invalid: token_reused"}
    assert (names(happened)["token.reused"], names(happened)["session.ended"]) == (1, 1)


def test_a_theft_ends_no_other_session_of_the_account(
    enter: Callable[..., tuple[LoadedSession, str]], refresh: Refresh, repository: SessionRepository
) -> None:
    (_, token), (other, others), (_, bobs) = enter(), enter(), enter(BOB)
    refresh.redeem(refresh.redeem(token).token)
    assert outcome(refresh, token) == "session_invalid: token_reused"
    assert isinstance(read(repository, other), LoadedSession)
    assert refresh.redeem(others)
    assert refresh.redeem(bobs)


# -- Guesses and garbage -------------------------------------------------------------------------------------


def pieces(token: str) -> tuple[str, str, str]:
    head, family, secret = token.split(".")
    return head, family, secret


def test_a_guess_ends_nothing_and_keeps_nothing_alive(
    enter: Callable[..., tuple[LoadedSession, str]],
    refresh: Refresh,
    redis: Redis,
    pass_time: TimeMachine,
    happened: list[events.Event],
) -> None:
    """Handles are shown in lists and logs: who knows one must not be able to end its session."""
    (_, token), (_, other) = enter(), enter()
    head, family, secret = pieces(token)
    _, others_family, others_secret = pieces(other)
    pass_time(IDLE - 60)
    happened.clear()
    with unchanged(redis):
        for guess in (
            f"{head}.{'A' * 22}.{'A' * 43}",
            f"{head}.{'A' * 22}.{secret}",
            f"{head}.{others_family}.{secret}",
            f"{head}.{others_family}.{others_secret}",
            f"{head}.{family[:-1]}{'A' if family[-1] != 'A' else 'Q'}.{secret}",
        ):
            with pytest.raises(TokenInvalid):
                refresh.redeem(guess)
            refresh.revoke(guess, "signed_out")
    assert happened == []
    assert refresh.redeem(token)


def test_family_with_an_unknown_generation_is_a_theft(signed_in: tuple[LoadedSession, str], refresh: Refresh) -> None:
    """Only a client that saw one of its tokens knows the family; which one it saw does not matter."""
    head, family, _ = pieces(signed_in[1])
    assert outcome(refresh, f"{head}.{family}.{'A' * 43}") == "session_invalid: token_reused"


def test_malformed_token_never_reaches_redis(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, redis: Redis, happened: list[events.Event]
) -> None:
    _, token = signed_in
    head, family, secret = pieces(token)
    redis.config_resetstat()
    happened.clear()
    for text in (
        "",
        "rt_",
        "rt_..",
        token[3:],
        token[:-1],
        token + "A",
        token + "=",
        token + "\n",
        " " + token,
        token.upper(),
        token.replace("rt_", "RT_"),
        f"{head}.{family}",
        f"{head}.{family}.{secret}.{secret}",
        f"{head}.{secret}.{family}",
        head.replace("sess_", "sess|") + f".{family}.{secret}",
        head.replace("sess_", "*_") + f".{family}.{secret}",
        "rt_" + "é" * 30 + f".{family}.{secret}",
        "A" * 10_000,
        "rt_" + "A" * 100_000,
        "\0" * 100,
    ):
        with pytest.raises(TokenInvalid):
            refresh.redeem(text)
        refresh.revoke(text, "signed_out")
    assert redis.info("commandstats").get("cmdstat_evalsha") is None
    assert happened == []
    assert refresh.redeem(token)


def test_token_of_a_session_that_never_existed_is_refused(
    signed_in: tuple[LoadedSession, str], refresh: Refresh
) -> None:
    head, family, secret = pieces(signed_in[1])
    for other in (head[:-16] + "A" * 16, "rt_" + "A" * 12 + head[15:]):
        with pytest.raises(SessionInvalid) as refusal:
            refresh.redeem(f"{other}.{family}.{secret}")
        assert refusal.value.reason == "unknown"


def test_a_session_with_a_cookie_has_no_refresh_token(
    services: Services, refresh: Refresh, signed_in: tuple[LoadedSession, str]
) -> None:
    """Whatever secrets come: there is no family that they could be of."""
    live = services.lifecycle.start(parse(ALICE), services.policy.standard)
    _, family, secret = pieces(signed_in[1])
    for text in (refresh.token(live, family, secret), refresh.token(live, "A" * 22, "A" * 43)):
        with pytest.raises(TokenInvalid):
            refresh.redeem(text)
    assert isinstance(services.repository.load(live.id, "never"), LoadedSession)


# -- When the session ends or moves --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "code", "reason"),
    [
        (lambda ours, live: ours.lifecycle.revoke(live, "signed_out"), "session_invalid", "signed_out"),
        (lambda ours, live: ours.lifecycle.revoke(live, "revoked"), "session_invalid", "revoked"),
        (lambda ours, live: ours.lifecycle.revoke_account(parse(ALICE)), "session_invalid", "everywhere"),
        (lambda ours, live: ours.lifecycle.revoke_everybody(), "session_invalid", "revoked"),
    ],
    ids=["signed out", "revoked", "everywhere", "everybody"],
)
def test_token_of_an_ended_session_gives_the_reason(
    services: Services,
    signed_in: tuple[LoadedSession, str],
    refresh: Refresh,
    redis: Redis,
    end: Callable[[Services, LoadedSession], Any],
    code: str,
    reason: str,
) -> None:
    live, token = signed_in
    newer = refresh.redeem(token).token
    end(services, live)
    before = snapshot(redis)
    for each in (newer, token):
        with pytest.raises(SessionInvalid) as refusal:
            refresh.redeem(each)
        assert (refusal.value.code, refusal.value.reason) == (code, reason)
    assert snapshot(redis) == before


@pytest.mark.parametrize(("seconds", "reason"), [(IDLE + 1, "idle"), (ABSOLUTE + 1, "absolute")])
def test_expired_session_names_the_clock_that_ran_out(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, pass_time: TimeMachine, seconds: int, reason: str
) -> None:
    pass_time(seconds)
    with pytest.raises(SessionExpired) as refusal:
        refresh.redeem(signed_in[1])
    assert (refusal.value.code, refusal.value.reason) == ("session_expired", reason)


@pytest.mark.parametrize("restart", [0, 3600], ids=["a change of role", "a step-up"])
def test_the_family_goes_with_the_session_to_its_new_id(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, repository: SessionRepository, restart: int
) -> None:
    live, token = signed_in
    first = refresh.redeem(token).token
    found = read(repository, live)
    assert isinstance(found, LoadedSession)
    moved = repository.rotate(found, restart_seconds=restart)
    assert moved is not None
    assert refresh.redeem(token).token == first, "the grace goes on"
    refreshed = refresh.redeem(first)
    assert refreshed.live.keys == moved.keys
    assert outcome(refresh, token) == "session_invalid: token_reused"
    assert read(repository, live) == EndedSession("token_reused")


def test_concurrent_refresh_and_rotation_are_both_kept(
    enter: Callable[..., tuple[LoadedSession, str]], refresh: Refresh, repository: SessionRepository
) -> None:
    pool = ThreadPoolExecutor(2)
    for _ in range(50):
        live, token = enter()
        barrier = Barrier(2)

        def rotate(live: LoadedSession = live, barrier: Barrier = barrier) -> None:
            barrier.wait()
            while True:
                found = read(repository, live)
                assert isinstance(found, LoadedSession)
                if repository.rotate(found) is not None:
                    return

        def redeem(token: str = token, barrier: Barrier = barrier) -> Refreshed:
            barrier.wait()
            return refresh.redeem(token)

        rotation = pool.submit(rotate)
        refreshed = pool.submit(redeem).result()
        rotation.result()
        assert refresh.redeem(refreshed.token)
    pool.shutdown()


def test_session_that_rotates_while_being_read_is_found(
    signed_in: tuple[LoadedSession, str], repository: SessionRepository
) -> None:
    """Between the reading and the sliding: who comes with a token has no other cookie on its way."""
    live, run, moved = signed_in[0], link_of(repository).run, False

    def moving(script: Any, *given: Any) -> Any:
        nonlocal moved
        if script is scripts.KEEP_ALIVE and not moved:
            moved = True
            found = read(repository, live)
            assert isinstance(found, LoadedSession)
            assert repository.rotate(found) is not None
        return run(script, *given)

    link_of(repository).run = moving  # type: ignore[method-assign]
    found = repository.load_handle(live.keys.tag, live.record.handle, "now")
    assert moved
    assert isinstance(found, LoadedSession)
    assert found.keys != live.keys


def test_session_revoked_during_a_refresh_stays_dead(
    enter: Callable[..., tuple[LoadedSession, str]],
    services: Services,
    refresh: Refresh,
    repository: SessionRepository,
) -> None:
    outcomes: Counter[str] = Counter()
    pool = ThreadPoolExecutor(2)
    for number in range(ROUNDS):
        live, token = enter()
        barrier = Barrier(2)
        revoke: Callable[[], Any] = (
            lambda live=live: services.lifecycle.revoke(live, "revoked"),
            lambda: services.lifecycle.revoke_account(parse(ALICE)),
        )[number % 2]

        def run(job: Callable[[], Any], barrier: Barrier = barrier) -> Any:
            barrier.wait()
            return job()

        redeeming = pool.submit(run, lambda token=token: outcome(refresh, token))
        pool.submit(run, revoke).result()
        answer = redeeming.result()
        outcomes["answered" if answer.startswith("rt_") else "refused"] += 1
        outcomes["revived"] += isinstance(read(repository, live), LoadedSession)
        outcomes["goes on"] += outcome(refresh, answer if answer.startswith("rt_") else token).startswith("rt_")
    pool.shutdown()
    assert (outcomes["revived"], outcomes["goes on"]) == (0, 0)


def test_signing_out_by_any_token_of_the_family_ends_the_session(
    enter: Callable[..., tuple[LoadedSession, str]],
    refresh: Refresh,
    repository: SessionRepository,
    happened: list[events.Event],
) -> None:
    for presented in ("old", "new"):
        live, token = enter()
        newer = refresh.redeem(refresh.redeem(token).token).token
        happened.clear()
        refresh.revoke(token if presented == "old" else newer, "signed_out")
        assert read(repository, live) == EndedSession("signed_out")
        assert names(happened) == {"session.ended": 1}
        refresh.revoke(newer, "signed_out")


# -- Redis ---------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running(Server(tmp_path / "own", "--appendonly", "yes", "--appendfsync", "always")) as server:
        yield server


def test_redis_failure_during_a_refresh_keeps_the_session(server: Server, make_app: Callable[..., Flask]) -> None:
    """Redis stops before each command of a refresh in turn; the client retries with the token it has."""
    services: Services = make_app(SESSIONS_CORE_REDIS_URL=server.url).extensions["sessions_core"]
    refresh, link = services.part(Api).refresh, link_of(services.repository)
    family, *secrets = refresh.start()
    live = services.lifecycle.start(parse(ALICE), services.policy.standard, prepare=with_family(family))
    token = refresh.token(live, *secrets)
    call, asked, fatal = link.call, 0, 0

    def counted(*command: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == fatal:
            server.stop()
        return call(*command)

    link.call = counted  # type: ignore[method-assign]
    token = refresh.redeem(token).token  # Redis has learned the scripts
    asked = 0
    token = refresh.redeem(token).token
    several = asked
    for number in range(1, several + 1):
        asked, fatal = 0, number
        with pytest.raises(StoreUnavailable):
            refresh.redeem(token)
        fatal = 0
        server.start()
        ask_again(link)
        token = refresh.redeem(token).token  # with the token that the client still has
    assert several >= 3
    assert isinstance(read(services.repository, live), LoadedSession)


def test_restored_record_revives_tokens_until_the_owner_comes(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, repository: SessionRepository, redis: Redis
) -> None:
    """An attacker who writes to Redis can turn a token family back, no further than to a copy: docs/threats.md."""
    live, token = signed_in
    newer = refresh.redeem(token).token
    old = redis.get(live.keys.record)
    newest = refresh.redeem(newer).token
    redis.set(live.keys.record, old, keepttl=True)
    assert outcome(refresh, newest) == "session_invalid: token_reused"


def test_restored_record_stays_dead_after_a_theft(
    signed_in: tuple[LoadedSession, str], refresh: Refresh, services: Services, redis: Redis
) -> None:
    """Its epoch ends it, or a sweep deletes it."""
    live, token = signed_in
    refresh.redeem(refresh.redeem(token).token)
    kept = redis.get(live.keys.record)
    outcome(refresh, token)
    redis.set(live.keys.record, kept, px=60_000)
    assert services.sweeper.sweep()["dead"] == 1
    assert isinstance(read(services.repository, live), EndedSession)


def test_write_access_to_redis_can_not_forge_a_family(
    enter: Callable[..., tuple[LoadedSession, str]], refresh: Refresh, redis: Redis
) -> None:
    (mine, my_token), (victims, _) = enter(BOB), enter(ALICE)
    mines = redis.get(mine.keys.record)
    redis.set(victims.keys.record, mines, keepttl=True)
    _, family, secret = pieces(my_token)
    with pytest.raises(SessionInvalid) as refusal:
        refresh.redeem(refresh.token(victims, family, secret))
    assert refusal.value.reason == "unknown"


def test_an_index_that_names_another_session_leads_nowhere(
    enter: Callable[..., tuple[LoadedSession, str]], repository: SessionRepository, redis: Redis
) -> None:
    """The index is not sealed: with it changed, the token of a session that has ended must not be one of another."""
    (ended, _), (other, _) = enter(), enter()
    repository.revoke(ended, "revoked")
    entry = redis.hget(other.keys.entries, other.keys.digest)
    changed = entry.replace(other.record.handle.encode(), ended.record.handle.encode())
    redis.hdel(other.keys.entries, ended.keys.digest)
    redis.hset(other.keys.entries, other.keys.digest, changed)
    assert read(repository, ended) == EndedSession("unknown")


def test_grace_is_as_long_as_documented() -> None:
    assert (GRACE, MINUTE) == (20_000, 60)
    assert "20 seconds" in Path("docs/design.md").read_text()
