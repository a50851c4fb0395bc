"""A Redis that takes no writes (a replica, a full disk, a master without replicas): reading goes on, for a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
from flask import Flask, session
from redis import Redis

from sessions_core import signed_in
from sessions_core.errors import StoreUnavailable
from sessions_core.sessions.record import EndedSession, LoadedSession
from sessions_core.web.services import Services

from ..actors import ApiClient, Visitor, Wallet
from ..servers import Server, free_port, running
from ..time_machine import Clock, TimeMachine


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("read"), "--dbfilename", "taken")
    with running(server):
        yield server


@pytest.fixture
def raw(server: Server) -> Iterator[Redis]:
    with server.client() as client:
        yield client
        client.config_set("save", "")  # or it would refuse to end


@pytest.fixture
def app(server: Server, make_app: Callable[..., Flask]) -> Flask:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)

    @app.get("/note")
    @signed_in
    def note() -> str:
        session["note"] = "x"
        return "noted"

    return app


@pytest.fixture
def pass_time(app: Flask, raw: Redis, clock: Clock) -> TimeMachine:
    return TimeMachine(app, raw, clock)


def replica(server: Server, raw: Redis) -> None:
    raw.replicaof("127.0.0.1", free_port())


def without_replicas(server: Server, raw: Redis) -> None:
    raw.config_set("min-replicas-to-write", 1)


def full_disk(server: Server, raw: Redis) -> None:
    raw.config_set("save", "3600 1")
    (server.directory / "taken").mkdir()
    (server.directory / "taken" / "file").touch()  # the snapshot can't take the place of a folder
    raw.bgsave()
    while raw.info("persistence")["rdb_bgsave_in_progress"]:
        pass


@pytest.mark.parametrize("refuse_writes", [replica, without_replicas, full_disk])
def test_reading_goes_on_when_redis_takes_no_writes(
    app: Flask,
    server: Server,
    raw: Redis,
    wallet: Wallet,
    pass_time: TimeMachine,
    caplog: pytest.LogCaptureFixture,
    refuse_writes: Callable[[Server, Redis], None],
) -> None:
    """Sliding is due on each of these requests. Whatever has to be written is still 503."""
    person = Visitor(app)
    person.sign_in(wallet)
    pass_time(61)
    refuse_writes(server, raw)
    with caplog.at_level(logging.WARNING):
        assert [person.get("/session").status_code for _ in range(5)] == [200] * 5
    assert sum("idle clocks can't start again" in each.getMessage() for each in caplog.records) == 1
    assert person.get("/note").status_code == 503
    token = {"X-CSRFToken": person.token("/session")}
    assert person.json("/api/auth/sessions/keep-alive", "POST", headers=token).status_code == 503
    assert person.post("/sign-out", data={"csrf_token": token["X-CSRFToken"]}).status_code == 503


def test_clients_with_tokens_read_when_redis_takes_no_writes(app: Flask, server: Server, raw: Redis) -> None:
    """The first use of a session token is noted in the record, which can wait."""
    client = ApiClient(app)
    client.sign_in(Wallet())
    client.refresh()
    without_replicas(server, raw)
    assert [client.get("/api/auth/sessions/validate").status_code for _ in range(3)] == [200] * 3


def test_reading_without_writes_ends_with_the_idle_clock(
    app: Flask, server: Server, raw: Redis, wallet: Wallet, services: Services, pass_time: TimeMachine
) -> None:
    person = Visitor(app)
    session_id = person.sign_in(wallet)
    pass_time(services.settings.idle_seconds - 60)
    without_replicas(server, raw)
    assert person.signed_in
    assert isinstance(services.repository.load(session_id, "due"), LoadedSession)
    raw.config_set("min-replicas-to-write", 0)
    pass_time(60)
    raw.config_set("min-replicas-to-write", 1)
    assert services.repository.load(session_id, "due") == EndedSession("idle")


def test_a_record_without_ttl_is_not_read_past_its_idle_end(
    app: Flask, server: Server, raw: Redis, wallet: Wallet, services: Services, pass_time: TimeMachine
) -> None:
    session_id = Visitor(app).sign_in(wallet)
    [key] = raw.keys("*:session:*")
    raw.persist(key)
    pass_time(services.settings.idle_seconds + 1)
    without_replicas(server, raw)
    with pytest.raises(StoreUnavailable):
        services.repository.load(session_id, "due")


def test_idle_clocks_go_on_once_redis_takes_writes_again(
    app: Flask, server: Server, raw: Redis, wallet: Wallet, pass_time: TimeMachine
) -> None:
    person = Visitor(app)
    person.sign_in(wallet)
    pass_time(600)
    without_replicas(server, raw)
    assert person.get("/session").status_code == 200
    raw.config_set("min-replicas-to-write", 0)
    assert person.get("/session").status_code == 200
    [key] = raw.keys("*:session:*")
    assert raw.pttl(key) > 1_790_000
