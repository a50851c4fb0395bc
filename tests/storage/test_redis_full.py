"""A Redis that is really full (`noeviction`): new sign-ins are refused, and every way to end a session works."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import OutOfMemoryError

from sessions_core.errors import SessionInvalid, StoreUnavailable
from sessions_core.parts.api import Api
from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.web.services import Services

from ..actors import ApiClient, Visitor, Wallet
from ..constants import ALICE
from ..servers import Server, running
from ..time_machine import Clock, TimeMachine


@pytest.fixture
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    server = Server(tmp_path_factory.mktemp("full"), "--appendonly", "yes")
    with running(server), server.client() as client:
        yield client


@pytest.fixture
def pass_time(app: Flask, raw: Redis, clock: Clock) -> TimeMachine:
    return TimeMachine(app, raw, clock)


@pytest.fixture
def app(raw: Redis, make_app: Callable[..., Flask]) -> Flask:
    url = f"unix://{raw.connection_pool.connection_kwargs['path']}"
    return make_app(SESSIONS_CORE_REDIS_URL=url)


def fill(raw: Redis) -> None:
    """Write until Redis has no room, and let it find none again."""
    raw.config_set("maxmemory-policy", "noeviction")
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] + 1_000_000)
    with contextlib.suppress(OutOfMemoryError):
        for number in range(1_000):
            raw.set(f"filler:{number}", "x" * 10_000)
    raw.config_set("maxmemory", raw.info("memory")["used_memory"] - 200_000)  # its own buffers come and go
    with pytest.raises(OutOfMemoryError):
        raw.set("one more", "byte")


def test_every_way_to_end_a_session_works_when_full(
    raw: Redis, services: Services, start: Callable[..., LoadedSession]
) -> None:
    repository = services.repository
    ids = [start(handle=f"sess_{number:016}").id for number in range(5)]
    mine = repository.load(ids[0], "never")
    fill(raw)
    assert isinstance(mine, LoadedSession)
    assert repository.revoke_handle(ALICE, "sess_0000000000000004", "revoked").ended == 1
    assert repository.load(ids[4], "never") == EndedSession("revoked")
    assert repository.revoke_others(mine).ended == 3
    assert [repository.load(each, "never") for each in ids[1:4]] == [EndedSession("revoked")] * 3
    assert isinstance(repository.load(ids[0], "never"), LoadedSession), "the one that asked goes on"
    assert repository.revoke_account(ALICE).ended == 1
    assert repository.load(ids[0], "never") == EndedSession("everywhere")


def test_an_account_without_a_session_is_ended_when_full(raw: Redis, services: Services) -> None:
    """Nothing can be deleted then, so the epoch is the first write, and sign-ins in flight depend on it."""
    fill(raw)
    assert services.repository.revoke_account(ALICE).ended == 0
    assert int(raw.get(services.repository.account_keys(ALICE).epoch) or 0) > 0


def test_site_wide_revocation_works_when_full(
    raw: Redis, services: Services, start: Callable[..., LoadedSession]
) -> None:
    session_id = start().id
    fill(raw)
    services.repository.revoke_everybody()
    assert services.repository.load(session_id, "never") == EndedSession("revoked")


def test_sweep_works_when_full(raw: Redis, services: Services, start: Callable[..., LoadedSession]) -> None:
    dead, lost = start(handle="sess_dddddddddddddddd"), start(account="eip155:1:0xb")
    raw.hdel(lost.keys.entries, lost.keys.digest)
    raw.incr(dead.keys.epoch)
    fill(raw)
    found = services.sweeper.sweep()
    assert (found["dead"], found["lost"]) == (1, 1)
    assert raw.exists(dead.keys.record) == 0


def test_a_new_secret_encrypts_records_anew_when_full(
    raw: Redis,
    services: Services,
    start: Callable[..., LoadedSession],
    rotated: Callable[..., Services],
    overrides: dict[str, object],
) -> None:
    session_id = start().id
    overrides["SESSIONS_CORE_REDIS_URL"] = services.settings.redis_url
    later = rotated()
    fill(raw)
    assert later.sweeper.sweep()["resealed"] == 1
    assert isinstance(later.repository.load(session_id, "never"), LoadedSession)


def test_reuse_of_a_refresh_token_ends_its_session_when_full(app: Flask, raw: Redis, services: Services) -> None:
    client = ApiClient(app)
    client.sign_in(Wallet())
    first = client.refresh_token
    client.refresh()
    assert client.get("/api/auth/sessions/validate").status_code == 200  # somebody has the successor
    client.refresh()
    fill(raw)
    with pytest.raises(SessionInvalid) as refused:
        services.part(Api).refresh.redeem(first)
    assert refused.value.reason == "token_reused"
    assert client.get("/api/auth/sessions/validate").status_code == 401


def test_a_refresh_token_moves_on_when_full(app: Flask, raw: Redis) -> None:
    client = ApiClient(app)
    client.sign_in(Wallet())
    fill(raw)
    client.refresh()
    client.refresh()
    assert client.get("/api/auth/sessions/validate").status_code == 200


@pytest.mark.parametrize("scope", ["others", "everywhere"])
def test_pages_end_sessions_when_full(app: Flask, raw: Redis, wallet: Wallet, scope: str) -> None:
    """The ends, and the message about them in `flask.session`: each is a write."""
    person, other = Visitor(app), Visitor(app)
    other.sign_in(wallet)
    person.sign_in(wallet)
    fill(raw)
    answer = person.submit(f"/sessions/{scope}")
    assert answer.status_code == 303, answer.text
    assert not other.signed_in
    assert person.signed_in is (scope == "others")


def test_a_signature_for_ending_counts_when_full(
    app: Flask, raw: Redis, wallet: Wallet, pass_time: TimeMachine
) -> None:
    person, other = Visitor(app), Visitor(app)
    other.sign_in(wallet)
    person.sign_in(wallet)
    pass_time(301)
    asked = person.submit("/sessions/others")
    fill(raw)
    answer = person.confirm(wallet, asked)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sessions")
    assert person.signed_in
    assert not other.signed_in


def test_sign_out_works_when_full(app: Flask, raw: Redis, wallet: Wallet) -> None:
    person = Visitor(app)
    person.sign_in(wallet)
    fill(raw)
    assert person.sign_out().status_code == 303
    assert not person.signed_in


def test_sign_in_fails_when_full(
    app: Flask, raw: Redis, services: Services, start: Callable[..., LoadedSession]
) -> None:
    fill(raw)
    with pytest.raises(StoreUnavailable):
        start()
    assert raw.keys("*:session:*") == []
    assert Visitor(app).attempt(Wallet()).status_code == 503
