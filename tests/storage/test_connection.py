"""The way to Redis: what it answers when Redis is slow, full, read-only, restarted, gone, or not safe to use."""

from __future__ import annotations

import contextlib
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, session
from redis import Redis

from sessions_core import signed_in
from sessions_core.errors import Misconfigured, StoreUnavailable
from sessions_core.parts.operations.server_checks import refuse_unsafe_server
from sessions_core.sessions.repository import SessionRepository
from sessions_core.storage.connection import Breaker, RedisConnection, Script
from sessions_core.web.services import Services

from ..actors import SESSION_COOKIE, Visitor, Wallet
from ..clusters import Cluster, Sentinels
from ..constants import PRODUCTION, ROOT
from ..servers import Listener, Server, free_port, frozen, running
from ..stored import fields_of, link_of
from ..time_machine import use_clock

TIMEOUT = 1.0
BUSY = 15  # what a machine with other work may add; without limits each of these would take longer still
ECHO = Script("return {KEYS[1], ARGV[1]}")


class Time:
    """An injected clock, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def link(server: Server, now: Time) -> RedisConnection:
    return RedisConnection(server.url, TIMEOUT, Breaker(now))


def fail(link: RedisConnection) -> str:
    with pytest.raises(StoreUnavailable) as caught:
        link.call("PING")
    assert caught.value.retry_after == 2
    return str(caught.value)


# -- The breaker -----------------------------------------------------------------------------------------------


def test_the_circuit_opens_after_three_failures_in_a_row(now: Time) -> None:
    breaker = Breaker(now)
    for _ in range(2):
        breaker.failed()
        breaker.check()
    breaker.failed()
    with pytest.raises(StoreUnavailable, match="circuit open"):
        breaker.check()


def test_success_resets_the_failure_count(now: Time) -> None:
    breaker = Breaker(now)
    for _ in range(10):
        breaker.failed()
        breaker.failed()
        breaker.succeeded()
    breaker.check()


def test_while_the_circuit_is_open_one_caller_a_second_tries(now: Time) -> None:
    breaker = Breaker(now)
    for _ in range(3):
        breaker.failed()
    tries = []
    for tenth in range(50):
        now.now = 1000 + tenth / 10
        try:
            breaker.check()
        except StoreUnavailable:
            continue
        tries.append(now.now)
        breaker.failed()
    assert tries == [1001, 1002, 1003, 1004]


def test_one_answer_closes_the_circuit(now: Time) -> None:
    breaker = Breaker(now)
    for _ in range(5):
        breaker.failed()
    now.now += 1
    breaker.check()
    breaker.succeeded()
    for _ in range(100):
        breaker.check()


def test_half_open_breaker_lets_exactly_one_thread_try(now: Time) -> None:
    """Two threads check at the same moment."""
    both = threading.Barrier(2)

    class Moment(float):
        def __lt__(self, other: float) -> bool:
            looked = super().__lt__(other)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(timeout=0.1)  # until the other one has looked too, which it must not before we have gone
            return looked

    breaker, tried = Breaker(lambda: Moment(now.now)), []
    for _ in range(3):
        breaker.failed()
    now.now += 1

    def try_once() -> None:
        try:
            breaker.check()
        except StoreUnavailable:
            return
        tried.append(1)

    threads = [threading.Thread(target=try_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tried == [1]


def test_the_log_says_once_that_redis_failed(now: Time, caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker(now)
    with caplog.at_level(logging.ERROR):
        for _ in range(20):
            breaker.failed()
    assert [record.getMessage() for record in caplog.records] == [
        "Redis failed three times in a row; requests get 503 until it answers again"
    ]


# -- Commands and scripts --------------------------------------------------------------------------------------


def test_a_command_gets_its_answer(link: RedisConnection) -> None:
    assert link.call("SET", "a", b"\xff", "NX") == b"OK"
    assert link.call("SET", "a", "other", "NX") is None
    assert link.call("GET", "a") == b"\xff"
    assert link.call("INCR", "n") == 1


def test_a_script_runs_whether_redis_knows_it_or_not(link: RedisConnection, raw: Redis) -> None:
    assert link.run(ECHO, ("k",), "v") == [b"k", b"v"]
    assert link.run(ECHO, ("k",), "v") == [b"k", b"v"]
    raw.script_flush()
    assert link.run(ECHO, ("k",), "v") == [b"k", b"v"]
    assert raw.script_exists(ECHO.sha) == [True]


def test_a_script_of_a_restarted_redis_is_sent_again(link: RedisConnection, server: Server) -> None:
    link.run(ECHO, ("k",), "v")
    server.stop()
    server.start()
    assert link.run(ECHO, ("k",), "v") == [b"k", b"v"]


def test_a_connection_is_used_again(link: RedisConnection, raw: Redis) -> None:
    first = link.call("CLIENT", "ID")
    assert {link.call("CLIENT", "ID") for _ in range(50)} == {first}
    assert raw.info("clients")["connected_clients"] == 2


def test_threads_never_get_each_others_answers(link: RedisConnection, raw: Redis) -> None:
    barrier, wrong = threading.Barrier(8), []

    def ask(name: int) -> None:
        barrier.wait()
        wrong.extend(got for n in range(300) if (got := link.call("ECHO", f"{name}-{n}")) != f"{name}-{n}".encode())

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert raw.info("clients")["connected_clients"] <= 9


def test_more_threads_than_pool_connections_are_answered(link: RedisConnection) -> None:
    inside = threading.Barrier(120)
    answers: list[Any] = []

    def ask() -> None:
        inside.wait()
        answers.append(link.call("PING"))

    threads = [threading.Thread(target=ask) for _ in range(120)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [b"PONG"] * 120


def test_refused_command_keeps_connection_and_circuit_closed(link: RedisConnection, raw: Redis) -> None:
    """And it is not sent twice."""
    raw.set("text", "x")
    first = link.call("CLIENT", "ID")
    before = raw.info("stats")["total_connections_received"]
    for _ in range(10):
        with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
            link.call("LPUSH", "text", "y")
    assert link.call("CLIENT", "ID") == first
    assert raw.info("stats")["total_connections_received"] == before
    assert raw.info("errorstats")["errorstat_WRONGTYPE"]["count"] == 10, "and is not sent twice"


def test_a_child_process_uses_sockets_of_its_own(server: Server) -> None:
    script = """
import os, sys
from sessions_core.storage.connection import RedisConnection
link = RedisConnection(sys.argv[1], 1.0)
before = link.call("CLIENT", "ID")
reader, writer = os.pipe()
if os.fork() == 0:
    ours = link.call("CLIENT", "ID")
    os.write(writer, b"%d" % (ours != before and link.call("ECHO", "child") == b"child"))
    os._exit(0)
os.wait()
assert os.read(reader, 1) == b"1", "the child spoke on its parent's socket"
assert link.call("CLIENT", "ID") == before, "the child closed its parent's socket"
"""
    subprocess.run([sys.executable, "-W", "error", "-c", script, server.url], cwd=ROOT, check=True, timeout=30)


# -- Trouble ---------------------------------------------------------------------------------------------------


def test_idle_connections_closed_by_redis_are_replaced(link: RedisConnection, raw: Redis) -> None:
    """The caller notices nothing."""
    barrier = threading.Barrier(6)

    def ask() -> None:
        barrier.wait()
        link.call("EVAL", "local n = 0 for i = 1, 300000 do n = n + i end return n", 0)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(link.service.node._idle) > 1
    for kill in range(3):
        raw.client_kill_filter(_type="normal", skipme=True)
        assert [link.call("ECHO", f"{kill} {n}") for n in range(8)] == [f"{kill} {n}".encode() for n in range(8)]


def test_a_restarted_redis_is_found_again_unnoticed(link: RedisConnection, server: Server) -> None:
    link.call("SET", "a", "1")
    server.stop()
    server.start()
    assert link.call("GET", "a") == b"1"


def test_a_redis_that_is_gone_fails_at_once(link: RedisConnection, server: Server) -> None:
    link.call("PING")
    server.stop()
    started = time.monotonic()
    assert "circuit open" not in "".join(fail(link) for _ in range(3))
    for _ in range(100):
        assert fail(link) == "circuit open"
    assert time.monotonic() - started < BUSY


def test_killed_redis_is_found_again_without_app_restart(link: RedisConnection, server: Server, now: Time) -> None:
    link.call("SET", "a", "1")
    server.kill()
    for _ in range(5):
        fail(link)
    server.start()
    assert fail(link) == "circuit open"
    now.now += 1
    assert link.call("GET", "a") == b"1"
    assert link.call("GET", "a") == b"1"


def test_long_outage_ends_without_app_restart(link: RedisConnection, server: Server, now: Time) -> None:
    server.stop()
    for _ in range(300):
        assert fail(link) != "circuit open"
        now.now += 1
    server.start()
    assert link.call("PING") == b"PONG"


def test_during_an_outage_redis_is_tried_once_a_second(now: Time) -> None:
    with Listener(lambda _: None) as listener:
        link = RedisConnection(listener.url, TIMEOUT, Breaker(now))
        for _ in range(3):
            fail(link)
        assert listener.connections == 3
        for second in range(1, 6):
            for _ in range(20):
                fail(link)
            assert listener.connections == 2 + second
            now.now += 1


@pytest.mark.parametrize("scheme", ["redis", "redis+cluster", "redis+sentinel"])
def test_redis_that_never_answers_is_given_up_in_time(scheme: str, now: Time) -> None:
    with Listener() as listener:
        link = RedisConnection(f"{scheme}://127.0.0.1:{listener.port}/0", TIMEOUT, Breaker(now))
        for _ in range(3):
            started = time.monotonic()
            assert fail(link) != "circuit open"
            assert TIMEOUT * 0.9 < time.monotonic() - started < BUSY
        started = time.monotonic()
        for _ in range(100):
            assert fail(link) == "circuit open"
        assert time.monotonic() - started < BUSY


def test_unserved_socket_is_given_up_in_time(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("s") / "full.sock"
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as waiting:
        full.bind(str(path))
        full.listen(0)
        waiting.connect(str(path))  # the queue is full: the next one waits to connect
        started = time.monotonic()
        fail(RedisConnection(f"unix://{path}", TIMEOUT))
        assert time.monotonic() - started < BUSY


def test_late_answer_of_a_frozen_redis_reaches_no_caller(link: RedisConnection, server: Server, now: Time) -> None:
    """The frozen server is given up in time; its late answer must not be taken for that of the next command."""
    link.call("SET", "mine", "my session")
    link.call("SET", "yours", "your session")
    with frozen(server):
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            link.call("GET", "mine")
        assert time.monotonic() - started < BUSY
    assert link.call("GET", "yours") == b"your session"
    assert link.call("GET", "mine") == b"my session"


def test_a_command_that_timed_out_is_not_sent_again(now: Time) -> None:
    heard: list[bytes] = []

    def answer(piece: bytes) -> bytes:
        heard.append(piece)
        return b"" if b"INCR" in piece else b"+OK\r\n" * piece.count(b"*")

    with Listener(answer) as listener:
        link = RedisConnection(listener.url, TIMEOUT, Breaker(now))
        link.call("PING")
        with pytest.raises(StoreUnavailable):
            link.call("INCR", "count")  # on a connection that was used before
        assert sum(b"INCR" in piece for piece in heard) == 1


def test_a_connection_to_a_master_no_more_is_closed_at_once(now: Time) -> None:
    def answer(piece: bytes) -> bytes:
        if b"INCR" in piece:
            return b"-READONLY You can't write against a read only replica.\r\n"
        return b"+OK\r\n" * piece.count(b"*")

    with Listener(answer) as listener:
        link = RedisConnection(listener.url, TIMEOUT, Breaker(now))
        with pytest.raises(StoreUnavailable) as caught:
            link.call("INCR", "a")
        assert listener.closed.acquire(timeout=5), "not only when the exception and its traceback are forgotten"
        assert caught.value is not None


def test_a_redis_that_is_loading_counts_as_a_failure(now: Time) -> None:
    with Listener(
        lambda piece: b"-LOADING Redis is loading the dataset in memory\r\n" * piece.count(b"*")
    ) as listener:
        link = RedisConnection(listener.url, TIMEOUT, Breaker(now))
        assert [("loading" in fail(link).lower()) for _ in range(3)] == [True] * 3
        assert fail(link) == "circuit open"


def test_server_of_another_protocol_is_unavailable(now: Time) -> None:
    with Listener(lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n") as listener:
        link = RedisConnection(listener.url, TIMEOUT, Breaker(now))
        for _ in range(3):
            fail(link)
        assert fail(link) == "circuit open"


# -- URLs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost:6379",
        "redis://localhost:port",
        "redis://[::1",
        "redis+cluster://localhost:port",
        "redis+sentinel://localhost:26379",
        "redis+sentinel://localhost/sessions",
        "redis+sentinel://localhost:26379/sessions/first",
    ],
)
def test_a_url_that_can_not_be_used_is_refused_at_start(url: str) -> None:
    with pytest.raises(Misconfigured, match="SESSIONS_CORE_REDIS_URL can't be used"):
        RedisConnection(url, TIMEOUT)


def test_sentinel_url_gives_nodes_service_db_and_credentials() -> None:
    pool = RedisConnection("redis+sentinel://app:p%40ss@127.0.0.1:26379,[::1]:26380/sessions/3", TIMEOUT).service.pool
    nodes = [node.connection_pool.connection_kwargs for node in pool.sentinel_manager.sentinels]
    assert [(node["host"], node["port"]) for node in nodes] == [("127.0.0.1", 26379), ("::1", 26380)]
    assert pool.service_name == "sessions"
    kwargs = pool.connection_kwargs
    assert (kwargs["username"], kwargs["password"], kwargs["db"]) == ("app", "p@ss", 3)


def test_app_starts_while_its_cluster_is_down(tmp_path_factory: pytest.TempPathFactory, now: Time) -> None:
    """It finds the cluster later."""
    with Listener(lambda _: None) as listener:
        link = RedisConnection(f"redis+cluster://127.0.0.1:{listener.port}", TIMEOUT, Breaker(now))
        assert listener.connections == 0
        for _ in range(3):
            fail(link)
        assert fail(link) == "circuit open"


# -- Servers that forget ---------------------------------------------------------------------------------------


def test_a_server_that_keeps_everything_is_accepted(link: RedisConnection, caplog: pytest.LogCaptureFixture) -> None:
    refuse_unsafe_server(link)
    assert caplog.records == []


def test_a_server_without_append_only_file_is_refused(link: RedisConnection, raw: Redis) -> None:
    raw.config_set("appendonly", "no")
    with pytest.raises(Misconfigured, match=r"appendonly no: .* Run: redis-cli CONFIG SET appendonly yes"):
        refuse_unsafe_server(link)


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_evicts_is_refused(link: RedisConnection, raw: Redis, policy: str) -> None:
    raw.config_set("maxmemory-policy", policy)
    with pytest.raises(Misconfigured, match=f"maxmemory-policy {policy}: .* CONFIG SET maxmemory-policy noeviction"):
        refuse_unsafe_server(link)


def test_a_server_that_may_not_be_asked_is_only_logged(
    server: Server, raw: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    raw.config_set("appendonly", "no")
    raw.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-info")
    link = RedisConnection(server.url.replace("unix://", "unix://app:secret@"), TIMEOUT)
    refuse_unsafe_server(link)
    assert "can't be checked" in caplog.text
    assert link.call("PING") == b"PONG"


def test_a_server_that_can_not_be_reached_is_only_logged(
    link: RedisConnection, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.stop()
    refuse_unsafe_server(link)
    assert "can't be checked" in caplog.text


@pytest.mark.parametrize(
    ("version", "accepted"), [("6.0.16", False), ("5.0.14", False), ("6.2.0", True), ("10.0.0", True)]
)
def test_a_server_that_is_too_old_is_refused(version: str, accepted: bool) -> None:
    def answer(piece: bytes) -> bytes:
        if b"INFO" in piece and b"SETINFO" not in piece:
            text = f"# Server\r\nredis_version:{version}\r\nredis_mode:standalone\r\n".encode()
            return b"$%d\r\n%s\r\n" % (len(text), text)
        return b"+OK\r\n" * piece.count(b"SETINFO")

    with Listener(answer) as listener:
        link = RedisConnection(listener.url, 1.0)
        if accepted:
            refuse_unsafe_server(link)
        else:
            with pytest.raises(Misconfigured, match=rf"Redis {version} is too old: sessions need Redis 6\.2"):
                refuse_unsafe_server(link)


def test_production_does_not_start_on_a_server_that_forgets(
    server: Server, raw: Redis, make_app: Callable[..., Flask]
) -> None:
    production = PRODUCTION | {"SESSIONS_CORE_REDIS_URL": server.url}
    make_app(**production)
    raw.config_set("appendonly", "no")
    with pytest.raises(Misconfigured, match="appendonly"):
        make_app(**production)
    make_app(**production, SESSIONS_CORE_REDIS_CHECK=False)
    make_app(SESSIONS_CORE_REDIS_URL=server.url)  # development


# -- Trouble, as people meet it --------------------------------------------------------------------------------


class Site:
    """The application on a Redis that can be ruined, somebody who is signed in, and the breaker's clock."""

    def __init__(self, app: Flask, server: Server) -> None:
        self.app = app
        self.server = server
        self.raw = server.client()
        self.now = Time()
        self.services: Services = app.extensions["sessions_core"]
        self.repository: SessionRepository = self.services.repository
        use_clock(link_of(self.repository), self.now)
        self.during: Callable[[], object] = lambda: None
        app.add_url_rule("/note", "note", signed_in(self.note), methods=["GET", "POST"])
        app.add_url_rule("/renew", "renew", signed_in(self.renew))
        self.wallet = Wallet()
        self.person = Visitor(app)
        self.person.sign_in(self.wallet)

    def note(self) -> str:
        self.during()
        session["note"] = session.get("note", 0) + 1
        return f"noted {session['note']}"

    def renew(self) -> str:
        self.app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        self.during()
        session["note"] = "renewed"
        return "renewed"

    def keys(self) -> list[bytes]:
        return sorted(self.raw.keys("*"))


@pytest.fixture
def site(server: Server, make_app: Callable[..., Flask]) -> Iterator[Site]:
    site = Site(make_app(SESSIONS_CORE_REDIS_URL=server.url), server)
    yield site
    site.raw.close()


def assert_unavailable(response: Any, code: str = "store_unavailable") -> None:
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) in (1, 2)
    assert "Set-Cookie" not in response.headers
    if response.is_json:
        assert response.get_json()["error"]["code"] == code


def assert_every_step_is_refused(site: Site) -> None:
    """Nothing that needs Redis works, nothing pretends to, and what needs no Redis goes on."""
    stranger = Visitor(site.app)
    challenge = stranger.challenge(site.wallet.account())
    assert stranger.get("/").status_code == 200
    assert stranger.get("/sign-in").status_code == 200
    assert_unavailable(stranger.attempt(site.wallet, challenge))
    assert stranger.client.get_cookie(SESSION_COOKIE) is None
    for path in ("/session", "/", "/note", "/sign-in", "/nowhere"):
        site.now.now += 2  # each is tried, and not only spared
        response = site.person.get(path)
        assert_unavailable(response)
        assert site.wallet.address not in response.get_data(as_text=True)
    for path, method in (("/api/auth/sessions/validate", "GET"), ("/api/auth/sessions/keep-alive", "POST")):
        assert_unavailable(site.person.json(path, method))
    response = site.person.post("/sign-out", data={"csrf_token": "any"})
    assert_unavailable(response)
    assert "You are still signed in" in response.get_data(as_text=True)
    assert "Clear-Site-Data" not in response.headers
    assert_unavailable(site.person.json("/api/auth/sessions/logout", "POST"), "sign_out_incomplete")
    assert site.person.client.get_cookie(SESSION_COOKIE) is not None


def test_every_request_says_503_while_redis_is_down(site: Site) -> None:
    """Afterwards all sessions are as before."""
    session_id = site.person.session_id
    keys = site.keys()
    site.raw.close()
    site.server.stop()
    assert_every_step_is_refused(site)
    site.server.start()
    site.now.now += 2
    assert site.keys() == keys
    assert site.person.get("/session").status_code == 200
    assert site.person.session_id == session_id
    assert site.person.sign_out().status_code == 303
    assert not site.person.signed_in


def test_while_redis_is_frozen_no_request_waits_long(site: Site) -> None:
    with frozen(site.server):
        for _ in range(6):
            started = time.monotonic()
            assert_unavailable(site.person.get("/session"))
            assert time.monotonic() - started < BUSY
    site.now.now += 2
    assert site.person.signed_in


def test_challenge_answered_during_an_outage_stays_valid(site: Site) -> None:
    stranger, wallet = Visitor(site.app), Wallet()
    challenge = stranger.challenge(wallet.account())
    site.raw.close()
    site.server.stop()
    assert_unavailable(stranger.attempt(wallet, challenge))
    site.server.start()
    site.now.now += 2
    assert stranger.attempt(wallet, challenge).status_code == 303
    assert stranger.signed_in


def sign_in_as_another(site: Site, monkeypatch: pytest.MonkeyPatch, lost_before: str) -> None:
    """Sign in with another wallet while Redis goes just before this step of the records, and comes back later."""
    step = getattr(site.repository, lost_before)

    def lose_redis_first(*arguments: Any) -> Any:
        site.raw.close()
        site.server.stop()
        return step(*arguments)

    other = Wallet()
    challenge = site.person.challenge(other.account())
    form = challenge | {"signature": other.sign(challenge["message"]), "csrf_token": site.person.token()}
    monkeypatch.setattr(site.repository, lost_before, lose_redis_first)
    assert_unavailable(site.person.post("/sign-in", data=form))
    monkeypatch.undo()
    site.server.start()
    site.now.now += 2


def test_redis_lost_during_a_sign_in_leaves_the_old_session(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No user is half signed in."""
    sign_in_as_another(site, monkeypatch, lost_before="create")
    data = site.person.json("/api/auth/sessions/validate").get_json()["data"]
    assert data["account"] == site.wallet.account(), "they keep the session they had"
    assert len(site.raw.keys("*:session:*")) == 1


def test_redis_lost_before_revoking_the_old_session_adds_none(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sign-in over an existing session gives out no new one if the old one could not be ended."""
    sign_in_as_another(site, monkeypatch, lost_before="revoke")
    assert site.person.json("/api/auth/sessions/validate").get_json()["data"]["account"] == site.wallet.account()


def test_unsaved_session_change_turns_the_answer_into_503(site: Site) -> None:
    """The view's own answer is not sent."""

    def lose_redis() -> None:
        site.raw.close()
        site.server.stop()

    assert site.person.get("/note").text == "noted 1"
    site.during = lose_redis
    response = site.person.get("/note")
    assert_unavailable(response)
    assert "noted" not in response.text
    assert "check who is signed in right now" in response.text
    assert response.headers["Cache-Control"] == "no-store"
    site.during = lambda: None
    site.server.start()
    site.now.now += 2
    assert site.person.get("/note").text == "noted 2"


def test_rotation_done_before_an_outage_still_sets_the_new_id(site: Site) -> None:
    """The answer is a 503, but its cookie carries the new session id."""

    def lose_redis() -> None:
        site.raw.close()
        site.server.stop()

    before = site.person.session_id
    site.during = lose_redis
    response = site.person.get("/renew")
    assert response.status_code == 503
    assert site.person.session_id != before
    site.server.start()
    site.now.now += 2
    assert site.person.signed_in


def test_interrupted_sign_out_says_it_was_not_completed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis was lost before the session was revoked: the user is still signed in."""
    revoke = site.repository.revoke

    def lose_redis_first(*arguments: Any) -> Any:
        site.raw.close()
        site.server.stop()
        return revoke(*arguments)

    token = site.person.token("/sign-out")
    monkeypatch.setattr(site.repository, "revoke", lose_redis_first)
    response = site.person.post("/sign-out", data={"csrf_token": token})
    monkeypatch.undo()
    assert_unavailable(response)
    assert "You are still signed in" in response.text
    assert "Clear-Site-Data" not in response.headers
    site.server.start()
    site.now.now += 2
    assert site.person.signed_in


def test_full_redis_refuses_sign_ins_and_serves_sessions(site: Site) -> None:
    """Signed-in users can read, be kept alive and sign out."""
    stranger, wallet = Visitor(site.app), Wallet()
    challenge = stranger.challenge(wallet.account())
    site.raw.config_set("maxmemory", 1)
    for _ in range(5):
        assert_unavailable(stranger.attempt(wallet, challenge))
        assert_unavailable(site.person.get("/note"))
        assert site.person.get("/session").status_code == 200, "writers must not take the readers down with them"
    [key] = site.raw.keys("*:session:*")
    active, *rest = fields_of(site.raw, key)
    site.raw.config_set("maxmemory", 0)
    site.raw.set(key, b"|".join((b"%013d" % (int(active) - 61_000), *rest)), keepttl=True)
    site.raw.pexpire(key, 1_739_000)
    site.raw.config_set("maxmemory", 1)
    assert site.person.get("/session").status_code == 200, "sliding is due"
    assert site.raw.pttl(key) > 1_790_000
    assert site.person.sign_out().status_code == 303
    assert not site.person.signed_in
    assert site.raw.keys("*:session:*") == []
    site.raw.config_set("maxmemory", 0)
    assert stranger.attempt(wallet, challenge).status_code == 303


def test_read_only_replica_serves_reads_and_nothing_else(site: Site) -> None:
    site.raw.replicaof("127.0.0.1", free_port())
    for _ in range(5):
        assert site.person.get("/session").status_code == 200
        assert_unavailable(site.person.get("/note"))
        assert_unavailable(site.person.json("/api/auth/sessions/keep-alive", "POST", headers=csrf(site)))
    token = site.person.token("/sign-out")
    assert_unavailable(site.person.post("/sign-out", data={"csrf_token": token}))
    assert_unavailable(
        site.person.json("/api/auth/sessions/logout", "POST", headers=csrf(site)), "sign_out_incomplete"
    )
    site.raw.execute_command("REPLICAOF", "NO", "ONE")
    assert site.person.get("/note").text == "noted 1"
    assert site.person.sign_out().status_code == 303


def csrf(site: Site) -> dict[str, str]:
    return {"X-CSRFToken": site.person.token("/session")}


def test_a_redis_that_can_not_write_to_its_disk_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, make_app: Callable[..., Flask]
) -> None:
    server = Server(tmp_path_factory.mktemp("d"), "--dbfilename", "taken")
    with running(server), server.client() as raw:
        raw.config_set("save", "3600 1")
        site = Site(make_app(SESSIONS_CORE_REDIS_URL=server.url), server)
        (server.directory / "taken").mkdir()
        (server.directory / "taken" / "file").touch()  # the snapshot can't take the place of a folder
        raw.bgsave()
        while raw.info("persistence")["rdb_bgsave_in_progress"]:
            pass
        try:
            assert site.person.get("/session").status_code == 200
            assert_unavailable(site.person.get("/note"))
            assert_unavailable(site.person.post("/sign-out", data={"csrf_token": site.person.token("/sign-out")}))
            raw.config_set("stop-writes-on-bgsave-error", "no")
            assert site.person.get("/note").text == "noted 1"
            assert site.person.sign_out().status_code == 303
        finally:
            raw.config_set("save", "")  # or it would refuse to end
        site.raw.close()


def test_forgotten_scripts_and_closed_connections_go_unnoticed(site: Site) -> None:
    for step in range(3):
        site.raw.script_flush()
        site.raw.client_kill_filter(_type="normal", skipme=True)
        assert site.person.get("/note").text == f"noted {step + 1}"
        site.raw.client_kill_filter(_type="normal", skipme=True)
        assert site.person.signed_in
    site.raw.client_kill_filter(_type="normal", skipme=True)
    assert site.person.sign_out().status_code == 303


# -- Cluster and Sentinel --------------------------------------------------------------------------------------


@pytest.fixture
def other_app(other_url: str, make_app: Callable[..., Flask]) -> Flask:
    app = make_app(SESSIONS_CORE_REDIS_URL=other_url)
    refuse_unsafe_server(link_of(app.extensions["sessions_core"].repository))

    @app.get("/note")
    @signed_in
    def note() -> str:
        session["note"] = session.get("note", 0) + 1
        return f"noted {session['note']}"

    @app.get("/renew")
    @signed_in
    def renew() -> str:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return "renewed"

    return app


def test_a_session_lives_its_whole_life_on_cluster_and_sentinel(other_app: Flask, wallet: Wallet) -> None:
    person = Visitor(other_app)
    first = person.sign_in(wallet)
    assert person.get("/session").status_code == 200
    assert [person.get("/note").text for _ in range(2)] == ["noted 1", "noted 2"]
    assert person.get("/renew").text == "renewed"
    assert person.session_id != first
    thief = Visitor(other_app)
    thief.session_id = first
    assert thief.json("/api/auth/sessions/validate").get_json()["error"]["reason"] == "rotated"
    token = person.token("/session")
    assert person.json("/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": token}).status_code == 200
    assert person.sign_out().status_code == 303
    assert not person.signed_in
    challenge = person.challenge(wallet.account())
    assert person.attempt(wallet, challenge).status_code == 303
    assert person.attempt(wallet, challenge).status_code == 400, "the nonce is spent"


@pytest.mark.parametrize("everybody", [False, True])
def test_revocations_reach_cluster_and_sentinel(other_app: Flask, everybody: bool) -> None:
    mine, yours = Visitor(other_app), Visitor(other_app)
    wallet = Wallet()
    mine.sign_in(wallet)
    yours.sign_in(Wallet())
    services: Services = other_app.extensions["sessions_core"]
    if everybody:
        services.lifecycle.revoke_everybody()
    else:
        services.repository.revoke_account(wallet.account())
    reason = mine.json("/api/auth/sessions/validate").get_json()["error"]["reason"]
    assert reason == ("revoked" if everybody else "everywhere")
    assert yours.signed_in is not everybody
    mine.sign_in(wallet)
    assert mine.signed_in


def test_cluster_and_sentinel_may_forget_scripts_unnoticed(
    several: Cluster | Sentinels, other_app: Flask, wallet: Wallet
) -> None:
    """They may also close connections."""
    person = Visitor(other_app)
    person.sign_in(wallet)
    for step in range(3):
        for master in several.masters():
            master.ask("SCRIPT", "FLUSH")
            master.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert person.get("/note").text == f"noted {step + 1}"
        for master in several.masters():
            master.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        assert person.signed_in
