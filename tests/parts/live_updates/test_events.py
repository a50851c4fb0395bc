"""The WebSocket that tells a browser of the end of its session and of changes to its account."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from websocket import WebSocketBadStatusException, WebSocketException

from sessions_core import part
from sessions_core.parts.linked_wallets import LinkedWallets
from sessions_core.parts.live_updates import LiveUpdates
from sessions_core.parts.live_updates import connection as live_connection
from sessions_core.parts.live_updates.errors import LiveUpdatesUnavailable
from sessions_core.parts.live_updates.seats import MOST
from sessions_core.parts.roles import Roles
from sessions_core.sessions.record import LoadedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ...actors import ORIGIN, ApiClient, Visitor, Wallet
from ...constants import PATIENCE, REDIS_PREFIX
from ...servers import Server, frozen, serving
from .sockets import PATH, Socket, connected, cookie

Connect = Callable[..., Socket]


@pytest.fixture
def port(app: Flask) -> Iterator[int]:
    with serving(app) as port:
        yield port


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    """Open connections that end with the test."""
    with ExitStack() as stack:

        def connect(whose: Visitor | LoadedSession | str | None, **options: Any) -> Socket:
            found = whose.session_id if isinstance(whose, Visitor) else whose
            session_id = found.id if isinstance(found, LoadedSession) else found
            return stack.enter_context(connected(port, session_id and cookie(session_id), **options))

        yield connect


@pytest.fixture
def live(services: Services) -> LiveUpdates:
    return services.part(LiveUpdates)


def refused(connect: Connect, *arguments: Any, **options: Any) -> tuple[int, str]:
    """Return status and code with which the server refuses a connection."""
    with pytest.raises(WebSocketBadStatusException) as refusal:
        connect(*arguments, **options)
    error = json.loads(refusal.value.resp_body)["error"]
    return refusal.value.status_code, f"{error['code']} {error.get('reason', '')}".strip()


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def until_refused(send: Callable[[], object]) -> None:
    """Send again and again, until it can't be sent or the server has gone."""
    deadline = time.monotonic() + PATIENCE
    with contextlib.suppress(OSError, WebSocketException):
        while time.monotonic() < deadline:
            send()
        raise AssertionError("the server takes everything")


# -- What is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda life, live: life.revoke_handle(live.record.account, live.record.handle), "revoked"),
        (lambda life, live: life.revoke_account(live.record.account), "everywhere"),
        (lambda life, live: life.revoke(live, "signed_out"), "signed_out"),
        (lambda life, live: life.revoke_everybody(), "revoked"),
    ],
)
def test_end_of_session_closes_with_reason_within_a_second(
    connect: Connect, sign_in: Callable[..., LoadedSession], services: Services, end: Any, reason: str
) -> None:
    session = sign_in()
    browser = connect(session)
    browser.hear("state")
    began = time.monotonic()
    end(services.lifecycle, session)
    assert browser.end() == (4401, reason)
    assert time.monotonic() - began < 1


def test_ending_all_others_spares_the_session_that_asked(
    connect: Connect, sign_in: Callable[..., LoadedSession], services: Services, wallet: Wallet
) -> None:
    mine, others = sign_in(wallet), [sign_in(wallet), sign_in(wallet)]
    own, sockets = connect(mine), [connect(each) for each in others]
    for each in (own, *sockets):
        each.hear("state")
    services.lifecycle.revoke_others(mine)
    assert [each.end() for each in sockets] == [(4401, "revoked")] * 2
    assert own.open


def test_connection_looks_when_the_idle_clock_runs_out(start: Callable[..., LoadedSession], connect: Connect) -> None:
    """Without any announcement, and within a second of the end."""
    session = start(idle=2)
    browser = connect(session)
    browser.hear("state")
    began = time.monotonic()
    assert browser.end() == (4401, "idle")
    assert time.monotonic() - began < 3.5


def test_connection_and_its_pings_are_no_activity(
    connect: Connect, start: Callable[..., LoadedSession], redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_connection, "PING_SECONDS", 1)
    session = start()
    before = redis.get(session.keys.record)
    redis.pexpire(session.keys.record, 600_000)
    browser = connect(session)
    for _ in range(3):
        browser.hear("ping")
    assert redis.get(session.keys.record) == before
    assert redis.pttl(session.keys.record) < 600_000


def test_new_sign_in_role_and_linked_wallet_are_told(
    connect: Connect, app: Flask, sign_in: Callable[..., LoadedSession], services: Services, wallet: Wallet
) -> None:
    account = parse(wallet.account())
    with app.test_request_context():
        browser = connect(sign_in(wallet))
    known = browser.hear("state")["state"]

    def told(change: Callable[[], object]) -> set[str]:
        nonlocal known
        with app.test_request_context():
            change()
        state = browser.hear("state")["state"]
        found = {name for name in {*state, *known} if state.get(name) != known.get(name)}
        known = state
        return found

    assert told(lambda: sign_in(wallet)) == {"news"}
    assert told(lambda: services.part(Roles).roles.assign(account, "admin")) == {"standing", "rights"}
    other = parse(Wallet().account())
    linking = services.part(LinkedWallets).linked_accounts
    assert told(lambda: linking.link(other, by=account)) == {"person", "rights"}
    browser.hear("sessions")


def test_sessions_of_a_linked_wallet_are_told_too(
    connect: Connect, app: Flask, sign_in: Callable[..., LoadedSession], services: Services, wallet: Wallet
) -> None:
    other = Wallet()
    with app.test_request_context():
        services.part(LinkedWallets).linked_accounts.link(parse(other.account()), by=parse(wallet.account()))
        browser = connect(sign_in(wallet))
        browser.hear("state")
        sign_in(other)
    browser.hear("sessions")


def test_other_accounts_hear_nothing(
    connect: Connect, app: Flask, sign_in: Callable[..., LoadedSession], services: Services, wallet: Wallet
) -> None:
    browser, stranger = connect(sign_in(wallet)), Wallet()
    browser.hear("state")
    with app.test_request_context():
        services.lifecycle.revoke(sign_in(stranger), "signed_out")
        sign_in(wallet)
    assert browser.hear("sessions") == {"type": "sessions"}
    assert browser.open


def test_state_of_the_page_is_that_of_the_connection(connect: Connect, person: Visitor) -> None:
    """A page that was made before the connection opened compares, and misses nothing."""
    data = person.json("/api/auth/sessions/validate").get_json()["data"]
    assert connect(person).hear("state")["state"] == data["live_state"]


def test_session_goes_on_under_a_new_id(
    connect: Connect, sign_in: Callable[..., LoadedSession], services: Services
) -> None:
    session = sign_in()
    browser = connect(session)
    browser.hear("state")
    moved = services.lifecycle.rotate(session)
    assert isinstance(moved, LoadedSession)
    assert browser.open
    services.lifecycle.revoke(moved, "revoked")
    assert browser.end() == (4401, "revoked")


# -- Who may connect -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:5001", None])
def test_foreign_origin_is_refused(connect: Connect, person: Visitor, origin: str | None) -> None:
    assert refused(connect, person, origin=origin) == (403, "cross_site_request")


def test_no_cookie_and_a_made_up_one_are_closed(connect: Connect) -> None:
    assert connect(None).end() == (4401, "no_token")
    assert connect("x" * 43).end() == (4401, "unknown")


def test_ended_session_is_closed_with_its_reason(connect: Connect, person: Visitor) -> None:
    session_id = person.session_id
    person.sign_out()
    assert connect(session_id).end() == (4401, "signed_out")


def test_bearer_token_opens_nothing(connect: Connect, app: Flask) -> None:
    client = ApiClient(app)
    client.sign_in(Wallet())
    headers = [f"Authorization: Bearer {client.access}"]
    assert connect(None, header=headers).end() == (4401, "no_token")


def test_plain_request_is_refused_without_a_fault(person: Visitor) -> None:
    answer = person.json("/api/auth/sessions/events")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["code"] == "bad_request"


def test_server_that_keeps_its_socket_is_told_apart(person: Visitor) -> None:
    """Of the test client there is no socket."""
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Origin": ORIGIN, "Accept": "application/json"}
    answer = person.get("/api/auth/sessions/events", headers=headers, environ_base={"wsgi.multithread": True})
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (503, "server")


def test_session_has_three_connections_at_most(
    connect: Connect, person: Visitor, redis: Redis, live: LiveUpdates
) -> None:
    sockets = [connect(person) for _ in range(MOST)]
    for each in sockets:
        each.hear("state")
    assert refused(connect, person) == (503, "live_updates_unavailable session_full")
    sockets[0].socket.close()
    wait_until(lambda: redis.zcard(redis.keys(f"{REDIS_PREFIX}live:*")[0]) < MOST)
    connect(person).hear("state")


def test_seats_of_a_dead_process_come_back(connect: Connect, person: Visitor, redis: Redis) -> None:
    session = person.json("/api/auth/sessions/validate").get_json()["data"]["session_id"]
    key = f"{REDIS_PREFIX}live:{session}"
    redis.zadd(key, {str(number): 1 for number in range(MOST)})
    connect(person).hear("state")
    assert redis.zcard(key) == 1
    assert 0 < redis.ttl(key) <= 60


def test_process_has_as_many_connections_as_it_may(make_app: Callable[..., Flask], live: LiveUpdates) -> None:
    """Past that a browser is refused at once, and pages still answer."""
    app = make_app(SESSIONS_CORE_LIVE_CONNECTIONS=2)
    visitors = [Visitor(app) for _ in range(3)]
    for each in visitors:
        each.sign_in(Wallet())
    with serving(app) as port, ExitStack() as stack:
        for each in visitors[:2]:
            stack.enter_context(connected(port, cookie(each.session_id))).hear("state")
        with pytest.raises(WebSocketBadStatusException) as refusal:
            stack.enter_context(connected(port, cookie(visitors[2].session_id)))
        assert (refusal.value.status_code, json.loads(refusal.value.resp_body)["error"]["reason"]) == (503, "full")
        assert visitors[2].get("/session").status_code == 200


@pytest.mark.parametrize(
    ("environ", "wanted", "most"),
    [
        ({"werkzeug.socket": 1}, -1, 100),
        ({"werkzeug.socket": 1}, 7, 7),
        ({"gunicorn.socket": 1, "sessions_core.threads": 16}, -1, 8),
        ({"gunicorn.socket": 1, "sessions_core.threads": 16}, 40, 15),
        ({"gunicorn.socket": 1, "sessions_core.threads": 1}, 40, 0),
        ({"gunicorn.socket": 1}, 40, 40),
        ({"gunicorn.socket": 1}, -1, "server"),
        ({"gunicorn.socket": 1, "wsgi.multithread": False}, 40, "server"),
        ({}, 40, "server"),
    ],
)
def test_connections_never_take_all_threads(environ: dict[str, Any], wanted: int, most: int | str) -> None:
    try:
        found: int | str | None = live_connection.most_connections({"wsgi.multithread": True} | environ, wanted)
    except LiveUpdatesUnavailable as refusal:
        found = refusal.reason
    assert found == most


def test_zero_connections_turn_live_updates_off(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_LIVE_CONNECTIONS=0)
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    with (
        serving(app) as port,
        pytest.raises(WebSocketBadStatusException),
        connected(port, cookie(visitor.session_id)),
    ):
        pass


# -- Hostile clients -------------------------------------------------------------------------------------------------


def upgrade(port: int, **changed: str | None) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Ask for a WebSocket without a cookie; return status, headers and error. `None` leaves a header out."""
    headers: dict[str, str | None] = {
        "Host": ORIGIN.partition("//")[2], "Origin": ORIGIN, "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
    }  # fmt: skip
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request("GET", PATH, headers={name: text for name, text in headers.items() if text is not None})
        answer = connection.getresponse()
        error = {} if answer.status == 101 else json.loads(answer.read())["error"]
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, error


@pytest.mark.parametrize("version", ["12", "8", "13, 8", "x"])
def test_other_version_of_the_protocol_is_refused(port: int, version: str) -> None:
    """The answer names the version to use (RFC 6455, section 4.4)."""
    status, headers, error = upgrade(port, Sec_WebSocket_Version=version)
    assert (status, error["code"]) == (426, "websocket_version_unsupported")
    assert headers["sec-websocket-version"] == "13"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"Sec_WebSocket_Version": None}, "headers"),
        ({"Sec_WebSocket_Key": None}, "key"),
        ({"Sec_WebSocket_Key": ""}, "key"),
        ({"Sec_WebSocket_Key": "not Base64"}, "key"),
        ({"Sec_WebSocket_Key": "\u00fc"}, "key"),
        ({"Sec_WebSocket_Key": base64.b64encode(bytes(15)).decode()}, "key"),
        ({"Sec_WebSocket_Extensions": "permessage-deflate; client_max_window_bits=x"}, "headers"),
    ],
)
def test_malformed_handshake_is_refused(port: int, changed: dict[str, str | None], reason: str) -> None:
    status, _, error = upgrade(port, **changed)
    assert (status, error["code"], error["reason"]) == (400, "websocket_malformed", reason)


def test_clients_without_a_session_hold_few_threads(
    make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is accepted to be told why it is refused, and does not go. It counts among the connections."""
    monkeypatch.setattr(live_connection, "_LINGER_SECONDS", PATIENCE)
    app = make_app(SESSIONS_CORE_LIVE_CONNECTIONS=2)
    visitors = [Visitor(app) for _ in range(2)]
    for each in visitors:
        each.sign_in(Wallet())
    hub = app.extensions["sessions_core"].parts["live_updates"].hub
    with serving(app) as port, ExitStack() as stack:
        with connected(port, None) as first:
            assert first.next() == (4401, "no_token")
            for cookies in (None, cookie("x" * 43)):
                with pytest.raises(WebSocketBadStatusException) as refusal, connected(port, cookies):
                    pass
                assert refusal.value.status_code == 401
            stack.enter_context(connected(port, cookie(visitors[0].session_id))).hear("state")
            other = cookie(visitors[1].session_id)
            with pytest.raises(WebSocketBadStatusException) as refusal, connected(port, other):
                pass
            assert json.loads(refusal.value.resp_body)["error"]["reason"] == "full"
        wait_until(lambda: hub._refusing == 0)
        stack.enter_context(connected(port, other)).hear("state")


def test_browser_that_speaks_is_closed(connect: Connect, person: Visitor) -> None:
    browser = connect(person)
    browser.hear("state")
    browser.socket.send('{"account": "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7"}')
    assert browser.end()[0] == 1008


def test_frame_of_a_megabyte_is_closed(connect: Connect, person: Visitor, live: LiveUpdates) -> None:
    browser = connect(person)
    browser.hear("state")
    browser.socket.send("x" * 1024 * 1024)
    assert browser.end()[0] == 1009
    wait_until(lambda: live.hub.count == 0)


def test_flood_of_frames_is_closed_and_blocks_no_page(connect: Connect, person: Visitor, live: LiveUpdates) -> None:
    browser = connect(person)
    browser.hear("state")
    until_refused(lambda: browser.socket.send("x"))
    assert person.get("/session").status_code == 200
    wait_until(lambda: live.hub.count == 0)


def test_browser_that_never_reads_holds_no_thread(
    connect: Connect, person: Visitor, live: LiveUpdates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the server answer pings until every buffer is full."""
    monkeypatch.setattr(live_connection, "_SEND_SECONDS", 0.5)
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    browser = connect(person, sockopt=small)
    browser.hear("state")
    browser.socket.settimeout(0.5)
    until_refused(lambda: browser.socket.ping("x" * 120))
    wait_until(lambda: live.hub.count == 0)
    assert person.get("/session").status_code == 200


def test_connection_that_breaks_off_is_forgotten(connect: Connect, person: Visitor, live: LiveUpdates) -> None:
    browser = connect(person)
    browser.hear("state")
    browser.socket.sock.close()
    wait_until(lambda: live.hub.count == 0)


def test_no_thread_is_left_after_the_last_connection(connect: Connect, person: Visitor, live: LiveUpdates) -> None:
    browser = connect(person)
    browser.hear("state")
    browser.socket.close()
    names = ("live-updates", "live-announcements")
    wait_until(lambda: not any(each.name in names for each in threading.enumerate()))


# -- Redis ---------------------------------------------------------------------------------------------------------


def test_restarted_redis_loses_no_end(
    make_app: Callable[..., Flask], server: Server, raw: Redis, wallet: Wallet
) -> None:
    """What ended while nobody listened is found when Redis is back."""
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    visitor = Visitor(app)
    session_id = visitor.sign_in(wallet)
    with serving(app) as port, connected(port, cookie(session_id)) as browser:
        browser.hear("state")
        raw.client_kill_filter(_type="pubsub")
        services: Services = app.extensions["sessions_core"]
        session = services.repository.load(session_id, "never")
        assert isinstance(session, LoadedSession)
        raw.delete(session.keys.record)
        assert browser.end()[0] == 4401


def test_lost_redis_closes_with_a_code_and_refuses(
    make_app: Callable[..., Flask], server: Server, wallet: Wallet
) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=server.url, SESSIONS_CORE_REDIS_TIMEOUT_MS=250)
    visitor = Visitor(app)
    session_id = visitor.sign_in(wallet)
    with serving(app) as port, connected(port, cookie(session_id)) as browser:
        browser.hear("state")
        with frozen(server):
            app.extensions["sessions_core"].parts["live_updates"].hub._wake_all()
            assert browser.end() == (1013, "store_unavailable")
            with pytest.raises(WebSocketBadStatusException) as refusal, connected(port, cookie(session_id)):
                pass
            assert refusal.value.status_code == 503


def test_redis_of_several_servers_tells_too(make_app: Callable[..., Flask], other_url: str, wallet: Wallet) -> None:
    app = make_app(SESSIONS_CORE_REDIS_URL=other_url)
    mine, other = Visitor(app), Visitor(app)
    session_id = mine.sign_in(wallet)
    with serving(app) as port, connected(port, cookie(session_id)) as browser:
        browser.hear("state")
        other.sign_in(wallet)
        browser.hear("sessions")
        services: Services = app.extensions["sessions_core"]
        session = services.repository.load(session_id, "never")
        assert isinstance(session, LoadedSession)
        services.lifecycle.revoke_handle(session.record.account, session.record.handle)
        assert browser.end() == (4401, "revoked")


def test_without_the_part_there_is_no_route(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_PARTS=[each for each in part.available() if each != "live_updates"])
    assert not [rule for rule in app.url_map.iter_rules() if rule.websocket]
