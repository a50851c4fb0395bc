"""The session interface: `flask.session` as everybody knows it, cookies, and sessions that stay dead."""

from __future__ import annotations

import hashlib
import inspect
import re
import threading
from collections.abc import Callable
from typing import Any

import flask_session.base
import flask_session.redis.redis
import pytest
from flask import Flask, Response, jsonify, request, session
from flask.sessions import SessionMixin
from flask_wtf.csrf import generate_csrf
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events, public, signed_in
from sessions_core.sessions.flask_session import SessionStore
from sessions_core.sessions.record import LoadedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import BROWSER_COOKIE, ORIGIN, SESSION_COOKIE, Visitor, Wallet
from ..answers import session_cookies
from ..constants import ABSOLUTE, ANOTHER, BROWSER, IDLE, MINUTE
from ..servers import commands_run
from ..snapshot import snapshot
from ..time_machine import TimeMachine


class Gate:
    """Holds requests between loading their session and saving it."""

    def __init__(self) -> None:
        self._arrived = threading.Semaphore(0)
        self._open = threading.Event()

    def wait(self) -> None:
        self._arrived.release()
        assert self._open.wait(timeout=20)

    def until_arrived(self, count: int) -> None:
        for _ in range(count):
            assert self._arrived.acquire(timeout=20)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return with_views(make_app())


def with_views(app: Flask) -> Flask:
    """Add views that do what views do to `flask.session`."""
    app.extensions["gate"] = Gate()

    def wait() -> None:
        app.extensions["gate"].wait()

    @app.get("/data")
    @public
    def data() -> Response:
        return jsonify({key: value for key, value in session.items() if key != "csrf_token"})

    @app.get("/passive")
    @public(keeps_alive=False)
    def passive() -> str:
        return "looked"

    @app.get("/private")
    @signed_in
    def private() -> str:
        return str(session.get("nothing"))

    @app.get("/set/<key>/<value>")
    @public
    def put(key: str, value: str) -> str:
        session[key] = value
        return "set"

    @app.get("/nested/<value>")
    @public
    def nested(value: str) -> str:
        session.setdefault("cart", {"items": []})["items"].append(value)
        session.modified = True
        return "added"

    @app.get("/pop/<key>")
    @public
    def pop(key: str) -> str:
        return str(session.pop(key, "nothing"))

    @app.get("/set-and-pop")
    @public
    def set_and_pop() -> str:
        session["a"] = 1
        del session["a"]
        return "nothing left"

    @app.get("/clear")
    @public
    def clear() -> str:
        session.clear()
        return "cleared"

    @app.get("/clear-and-set/<value>")
    @public
    def clear_and_set(value: str) -> str:
        session.clear()
        session["after"] = value
        return "begun anew"

    @app.get("/renew")
    @public
    def renew() -> str:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return "renewed"

    @app.get("/slow/read")
    @signed_in
    def slow_read() -> str:
        wait()
        return "read"

    @app.get("/slow/set/<key>")
    @signed_in
    def slow_set(key: str) -> str:
        wait()
        session[key] = "written late"
        return "written"

    @app.get("/slow/renew")
    @signed_in
    def slow_renew() -> str:
        wait()
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        session["renewed"] = True
        return "renewed"

    @app.get("/slow/renewed")
    @signed_in
    def slow_renewed() -> str:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        wait()
        session["renewed"] = True
        return "renewed"

    @app.get("/slow/clear")
    @signed_in
    def slow_clear() -> str:
        wait()
        session.clear()
        return "cleared"

    return app


def client(app: Flask, session_id: str) -> Visitor:
    """Return the browser that has this session, and the browser cookie that sessions are started with here."""
    visitor = Visitor(app)
    visitor.session_id = session_id
    visitor.client.set_cookie(BROWSER_COOKIE, BROWSER, secure=True)
    return visitor


class InFlight:
    """Requests with one session's cookie, held at the gate."""

    def __init__(self, app: Flask, session_id: str, *paths: str) -> None:
        self._app = app
        self._session_id = session_id
        self.paths = paths
        self.responses: list[TestResponse | None] = [None] * len(paths)
        self.gate = app.extensions["gate"] = Gate()
        self._threads = [threading.Thread(target=self._get, args=each) for each in enumerate(paths)]
        for thread in self._threads:
            thread.start()

    def _get(self, number: int, path: str) -> None:
        self.responses[number] = client(self._app, self._session_id).get(path)

    def loaded(self) -> InFlight:
        self.gate.until_arrived(len(self._threads))
        return self

    def finish(self) -> list[TestResponse]:
        self.gate.open()
        for thread in self._threads:
            thread.join(timeout=20)
        assert None not in self.responses
        return [response for response in self.responses if response is not None]


def reason(app: Flask, session_id: str) -> str | None:
    """Why a session is no more; `None` while it lives."""
    answer = client(app, session_id).json("/api/auth/sessions/validate").get_json()
    return None if answer["success"] else answer["error"]["reason"]


# -- Sessions that stay dead -----------------------------------------------------------------------------------

WRITERS = ("/slow/set/a", "/slow/set/b", "/slow/renew", "/slow/read", "/slow/clear")


def test_a_session_revoked_during_a_request_stays_revoked(
    app: Flask, services: Services, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    revived = cookies = 0
    for number in range(300):
        live = sign_in()
        flight = InFlight(app, live.id, WRITERS[number % 3], WRITERS[(number + 1) % 3], "/slow/read").loaded()
        assert services.lifecycle.revoke(live, "revoked")
        responses = flight.finish()
        # The view of who only read was right when it began; who wrote is told that it was not kept.
        kept = [path == "/slow/read" for path in flight.paths]
        assert [response.status_code for response in responses] == [200 if each else 401 for each in kept]
        cookies += sum(len(session_cookies(response)) for response in responses)
        revived += len(redis.keys("*:session:*")) + (reason(app, live.id) != "revoked")
    assert (revived, cookies) == (0, 0)


def test_a_session_revoked_while_requests_save_stays_revoked(
    app: Flask, services: Services, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    for number in range(100):
        live = sign_in()
        flight = InFlight(app, live.id, *(WRITERS[(number + n) % 5] for n in range(4))).loaded()
        revoker = threading.Thread(target=services.lifecycle.revoke, args=(live, "revoked"))
        flight.gate.open()
        revoker.start()
        flight.finish()
        revoker.join()
        assert redis.keys("*:session:*") == []
        assert reason(app, live.id) in ("revoked", "signed_out", "replaced")


@pytest.mark.parametrize("everybody", [False, True])
def test_account_revoked_during_a_request_stays_revoked(
    app: Flask, services: Services, sign_in: Callable[..., LoadedSession], everybody: bool
) -> None:
    for _ in range(40):
        live = sign_in()
        flight = InFlight(app, live.id, "/slow/set/a", "/slow/renew", "/slow/read").loaded()
        if everybody:
            services.lifecycle.revoke_everybody()
        else:
            services.lifecycle.revoke_account(parse(live.record.account))
        responses = flight.finish()
        if not everybody:
            assert [session_cookies(response) for response in responses] == [[]] * 3
        for response in responses:
            for cookie in session_cookies(response):
                assert reason(app, cookie.split("=")[1].split(";")[0]) == "revoked"
        assert reason(app, live.id) in (("revoked", "replaced") if everybody else ("everywhere",))


def test_a_session_signed_out_during_a_request_stays_signed_out(app: Flask, redis: Redis, wallet: Wallet) -> None:
    person = Visitor(app)
    for _ in range(10):
        session_id = person.sign_in(wallet)
        flight = InFlight(app, session_id, "/slow/set/a", "/slow/renew", "/slow/read").loaded()
        assert person.sign_out().status_code == 303
        responses = flight.finish()
        assert [session_cookies(response) for response in responses] == [[]] * 3
        assert redis.keys("*:session:*") == []
        assert reason(app, session_id) == "signed_out"


def test_session_replaced_during_a_request_stays_replaced(app: Flask, redis: Redis, wallet: Wallet) -> None:
    """A slow request does not revive it."""
    person = Visitor(app)
    before = person.sign_in(wallet)
    for _ in range(10):
        flight = InFlight(app, before, "/slow/set/a", "/slow/renew", "/slow/read").loaded()
        after = person.sign_in(Wallet())
        responses = flight.finish()
        assert [session_cookies(response) for response in responses] == [[]] * 3
        assert reason(app, before) == "replaced"
        assert reason(app, after) is None
        assert len(redis.keys("*:session:*")) == 1
        assert person.get("/data").get_json() == {}
        before = after


def test_session_data_is_dropped_when_the_session_was_revoked(
    app: Flask, services: Services, redis: Redis, sign_in: Callable[..., LoadedSession], wallet: Wallet
) -> None:
    live = sign_in(wallet, data={"medical": "secret"})

    @app.before_request
    def revoked_meanwhile() -> None:
        if request.path.endswith("/keep-alive"):
            services.repository.revoke(live, "revoked")

    @app.after_request
    def note(response: Response) -> Response:
        session["seen"] = "yes"
        return response

    response = client(app, live.id).json(
        "/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": client(app, live.id).token("/session")}
    )
    assert response.get_json()["error"]["reason"] == "revoked"
    assert session_cookies(response) == []
    assert redis.keys("*:session:*") == []


def test_sign_out_with_an_old_cookie_spares_the_newer_session(
    app: Flask, sign_in: Callable[..., LoadedSession], wallet: Wallet
) -> None:
    old = sign_in(wallet)
    new = sign_in(wallet, replacing=old)
    assert client(app, old.id).post("/sign-out").status_code == 303
    assert reason(app, new.id) is None


def test_a_page_that_gives_out_a_cookie_is_kept_by_no_cache(app: Flask, visitor: Visitor) -> None:
    @app.get("/contact")
    @public
    def contact() -> Response:
        response = jsonify(token=generate_csrf())
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response

    first = visitor.get("/contact")
    assert first.headers.getlist("Set-Cookie")
    assert first.headers["Cache-Control"] == "no-store"
    again = visitor.get("/contact")
    assert not again.headers.getlist("Set-Cookie")
    assert "Cookie" in again.headers["Vary"]


def test_two_sign_ins_over_one_session_end_it_once(
    app: Flask, services: Services, sign_in: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    for _ in range(30):
        before = sign_in()
        happened.clear()
        barrier, started = threading.Barrier(2), []

        def replace(
            before: LoadedSession = before, barrier: threading.Barrier = barrier, out: list[LoadedSession] = started
        ) -> None:
            barrier.wait()
            out.append(sign_in(replacing=before))

        threads = [threading.Thread(target=replace) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        names = sorted(event.name for event in happened)
        assert names == ["session.created", "session.created", "session.ended", "wallet.changed", "wallet.changed"]
        assert reason(app, before.id) == "replaced"
        assert [reason(app, live.id) for live in started] == [None, None]


def test_rotations_writes_and_reads_at_once_leave_one_session(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    for _ in range(60):
        redis.flushall()
        old = sign_in(browser=BROWSER).id
        flight = InFlight(app, old, "/slow/renew", "/slow/set/a", "/slow/renew", "/slow/read").loaded()
        responses = flight.finish()
        assert [response.status_code for response in responses] == [200] * 4
        ids = {cookie.split("=")[1].split(";")[0] for response in responses for cookie in session_cookies(response)}
        assert ids
        assert [reason(app, each) for each in ids] == [None] * len(ids)
        assert reason(app, old) is None, "for as long as the answers are on their way"
        assert len(redis.keys("*:session:*")) == 1
        assert client(app, ids.pop()).get("/data").get_json() == {"a": "written late", "renewed": True}


def test_session_revoked_after_its_rotation_sets_no_cookie(
    app: Flask, services: Services, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    """Both happen during one request."""
    for _ in range(20):
        live = sign_in()
        flight = InFlight(app, live.id, "/slow/renewed").loaded()
        assert services.lifecycle.revoke(live, "revoked")
        [response] = flight.finish()
        assert session_cookies(response) == []
        assert redis.keys("*:session:*") == []


def test_concurrent_clears_end_the_session_once(
    app: Flask, sign_in: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    for _ in range(30):
        live = sign_in()
        flight = InFlight(app, live.id, "/slow/clear", "/slow/clear").loaded()
        happened.clear()
        responses = flight.finish()
        assert all("Max-Age=0" in session_cookies(response)[0] for response in responses)
        assert happened == [
            events.SessionEnded(handle=live.record.handle, account=live.record.account, reason="signed_out")
        ]
        assert reason(app, live.id) == "signed_out"


def test_concurrent_session_writes_are_all_kept(app: Flask, sign_in: Callable[..., LoadedSession]) -> None:
    person = client(app, sign_in().id)
    for round_ in range(15):
        InFlight(app, person.session_id, *(f"/slow/set/{round_}-{n}" for n in range(10))).loaded().finish()
    assert person.get("/data").get_json() == {f"{r}-{n}": "written late" for r in range(15) for n in range(10)}


def test_rotation_keeps_what_another_request_wrote(app: Flask, sign_in: Callable[..., LoadedSession]) -> None:
    person = client(app, sign_in(data={"a": "first", "gone": 1}).id)
    flight = InFlight(app, person.session_id, "/slow/renew").loaded()
    person.get("/set/a/second")
    person.get("/set/b/new")
    person.get("/pop/gone")
    [response] = flight.finish()
    person.session_id = session_cookies(response)[0].split("=")[1].split(";")[0]
    assert person.get("/data").get_json() == {"a": "second", "b": "new", "renewed": True}


def test_a_removal_and_a_write_at_the_same_time_both_hold(app: Flask, sign_in: Callable[..., LoadedSession]) -> None:
    person = client(app, sign_in(data={"old": 1}).id)
    flight = InFlight(app, person.session_id, "/slow/set/late").loaded()
    person.get("/pop/old")
    flight.finish()
    assert person.get("/data").get_json() == {"late": "written late"}


# -- `flask.session`, as everybody knows it --------------------------------------------------------------------


@pytest.fixture(params=["visitor", "signed in"])
def person(request: pytest.FixtureRequest, app: Flask, sign_in: Callable[..., LoadedSession]) -> Visitor:
    """Both are to work the same."""
    return Visitor(app) if request.param == "visitor" else client(app, sign_in().id)


def test_session_value_is_there_in_the_next_request(person: Visitor) -> None:
    person.get("/set/a/1")
    person.get("/set/b/2")
    assert person.get("/data").get_json() == {"a": "1", "b": "2"}
    person.get("/set/a/3")
    assert person.get("/data").get_json() == {"a": "3", "b": "2"}


def test_popped_session_value_is_gone(person: Visitor) -> None:
    person.get("/set/a/1")
    assert person.get("/pop/a").text == "1"
    assert person.get("/pop/a").text == "nothing"
    assert person.get("/data").get_json() == {}


def test_nested_changes_that_are_marked_are_kept(person: Visitor) -> None:
    for value in ("x", "y"):
        person.get(f"/nested/{value}")
    assert person.get("/data").get_json() == {"cart": {"items": ["x", "y"]}}


@pytest.mark.parametrize(
    ("before", "after"), [(1, True), (0, False), (1, 1.0), ([1], [True]), ({"a": 0}, {"a": False})]
)
def test_a_value_that_changes_its_type_only_is_kept(
    app: Flask, sign_in: Callable[..., LoadedSession], before: Any, after: Any
) -> None:
    @app.get("/change")
    @signed_in
    def change() -> str:
        session["value"] = after
        return "changed"

    person = client(app, sign_in(data={"value": before}).id)
    person.get("/change")
    assert repr(person.get("/data").get_json()["value"]) == repr(after)


def test_setting_an_equal_value_writes_nothing(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    person = client(app, sign_in(data={"a": "1"}).id)
    redis.config_resetstat()
    person.get("/set/a/1")
    assert commands_run(redis) == {"mget": 1}


def test_the_session_is_a_server_side_session_of_flask(app: Flask) -> None:
    with app.test_request_context(base_url=ORIGIN):
        assert isinstance(session, SessionMixin)
        assert isinstance(session, flask_session.base.ServerSideSession)
        assert session.new is False
        session.permanent = True
        assert session.permanent is False, "the person decides that when they sign in"


def test_clearing_the_session_signs_out(
    app: Flask, sign_in: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    live = sign_in(data={"a": 1})
    happened.clear()
    person = client(app, live.id)
    response = person.get("/clear")
    assert "Max-Age=0" in session_cookies(response)[0]
    assert person.client.get_cookie(SESSION_COOKIE) is None
    assert reason(app, live.id) == "signed_out"
    assert [event.name for event in happened] == ["session.ended"]


def test_clearing_drops_the_data_of_a_visitor(app: Flask, redis: Redis, visitor: Visitor) -> None:
    visitor.get("/set/a/1")
    assert "Max-Age=0" in session_cookies(visitor.get("/clear"))[0]
    assert redis.keys("*:session:*") == []
    assert visitor.get("/data").get_json() == {}


def test_clearing_an_empty_session_does_nothing(app: Flask, redis: Redis, visitor: Visitor) -> None:
    redis.config_resetstat()
    assert "Set-Cookie" not in visitor.get("/clear").headers
    assert commands_run(redis) == {}


def test_data_set_after_clear_starts_a_new_session(person: Visitor, app: Flask) -> None:
    """It has a new id."""
    person.get("/set/before/1")
    before = person.session_id
    response = person.get("/clear-and-set/2")
    assert len(session_cookies(response)) == 1
    assert person.session_id != before
    assert person.get("/data").get_json() == {"after": "2"}
    assert not person.signed_in
    assert reason(app, before) is not None


def test_form_of_before_a_rotation_is_accepted_for_20_seconds(
    app: Flask, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    @app.get("/renewed-form")
    @signed_in
    def renewed_form() -> str:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        return str(generate_csrf())

    person = client(app, sign_in().id)
    before = person.token("/session")
    after = person.get("/renewed-form").text
    for seconds, token, status in ((0, before, 200), (21, before, 400), (0, after, 200)):
        pass_time(seconds)
        response = person.json("/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": token})
        assert response.status_code == status


# -- Visitors --------------------------------------------------------------------------------------------------


def test_visitor_stores_nothing_but_rate_limit_counters(app: Flask, redis: Redis, visitor: Visitor) -> None:
    redis.config_resetstat()
    script = "/sessions_core/static/lib/clock.js"
    for path in ("/", "/sign-in", "/signed-out", "/data", "/passive", "/nowhere", script):
        visitor.get(path).close()
    visitor.json("/api/auth/sessions/validate")
    assert commands_run(redis) == {}
    visitor.challenge(Wallet().account())
    assert snapshot(redis) == {}
    assert commands_run(redis)["evalsha"] == redis.dbsize() == 2  # it is counted, by address and by browser


def test_a_visitor_is_stored_when_a_view_writes_and_not_before(redis: Redis, visitor: Visitor) -> None:
    assert "Set-Cookie" not in visitor.get("/data").headers
    visitor.get("/pop/a")
    visitor.get("/set-and-pop")
    assert redis.keys("*") == []
    assert len(session_cookies(visitor.get("/set/a/1"))) == 1
    assert len(redis.keys("*:session:*")) == 1
    assert session_cookies(visitor.get("/set/a/2")) == []


def test_visitor_gets_a_new_session_after_the_old_one_ended(
    app: Flask, redis: Redis, visitor: Visitor, pass_time: TimeMachine
) -> None:
    visitor.get("/set/a/1")
    before = visitor.session_id
    pass_time(IDLE + 1)
    assert visitor.get("/data").get_json() == {}
    visitor.get("/set/b/2")
    assert visitor.session_id != before
    assert visitor.get("/data").get_json() == {"b": "2"}


def test_visitor_data_is_kept_on_sign_in(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.get("/set/a/1")
    before = visitor.session_id
    visitor.sign_in(wallet)
    assert visitor.session_id != before
    assert visitor.get("/data").get_json() == {"a": "1"}
    assert reason(app, before) is not None


def test_data_of_one_account_never_reaches_another(visitor: Visitor) -> None:
    visitor.get("/set/visitor/1")
    visitor.sign_in(Wallet())
    visitor.get("/set/private/2")
    visitor.sign_in(Wallet())
    assert visitor.get("/data").get_json() == {}


def test_account_data_is_gone_after_signing_out(visitor: Visitor, wallet: Wallet) -> None:
    """The visitor that remains does not see it, nor does the next sign-in."""
    visitor.sign_in(wallet)
    visitor.get("/set/private/2")
    visitor.sign_out()
    assert visitor.get("/data").get_json() == {}
    visitor.sign_in(wallet)
    assert visitor.get("/data").get_json() == {}


def test_session_id_from_before_a_sign_in_is_void(app: Flask, wallet: Wallet) -> None:
    """An attacker who fixed the visitor's id gains nothing."""
    victim, attacker = Visitor(app), Visitor(app)
    attacker.get("/set/a/1")
    victim.session_id = attacker.session_id
    victim.sign_in(wallet)
    assert not attacker.signed_in
    assert victim.session_id != attacker.session_id


# -- What a request costs --------------------------------------------------------------------------------------


def test_a_signed_in_request_that_only_reads_is_one_command(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    person = client(app, sign_in(data={"a": 1}).id)
    before = {key: redis.dump(key) for key in redis.keys("*")}
    for path in ("/session", "/private", "/data", "/passive", "/", "/sign-out", "/api/auth/sessions/validate"):
        redis.config_resetstat()
        response = person.get(path)
        assert response.status_code == 200
        assert commands_run(redis) == {"mget": 1}, path
        assert session_cookies(response) == []
    assert {key: redis.dump(key) for key in redis.keys("*")} == before


def test_a_signed_in_request_for_a_file_costs_redis_nothing(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    person = client(app, sign_in().id)
    redis.config_resetstat()
    with person.get("/sessions_core/static/lib/clock.js") as response:
        assert response.status_code == 200
    assert commands_run(redis) == {}


def test_activity_is_written_at_most_once_a_minute(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    person = client(app, sign_in().id)
    written = []
    for second in range(0, 240, 20):
        redis.config_resetstat()
        response = person.get("/private")
        assert session_cookies(response) == []
        if commands_run(redis).get("pexpire"):
            written.append(second)
        pass_time(20)
    assert written == [60, 120, 180]


def test_passive_request_never_keeps_alive(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = sign_in()
    person = client(app, live.id)
    pass_time(IDLE - 30)
    redis.config_resetstat()
    for path in ("/passive", "/api/auth/sessions/validate", "/nowhere", "/sessions_core/static/lib/clock.js"):
        person.get(path).close()
        person.json("/api/auth/challenges", "POST", json={"account": Wallet().account()})
    assert "pexpire" not in commands_run(redis)
    pass_time(31)
    assert reason(app, live.id) == "idle"


def test_activity_keeps_alive_until_the_absolute_end_only(
    app: Flask, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    live = sign_in()
    person = client(app, live.id)
    for _ in range(ABSOLUTE // (20 * MINUTE) - 1):
        pass_time(20 * MINUTE)
        assert person.get("/private").status_code == 200
    pass_time(20 * MINUTE)
    assert reason(app, live.id) == "absolute"
    answer = person.json("/session").get_json()["error"]
    assert (answer["code"], answer["reason"]) == ("session_expired", "absolute")


# -- Cookies that are no session -------------------------------------------------------------------------------

GOOD = "a" * 55


@pytest.mark.parametrize(
    "cookies",
    [
        f"{SESSION_COOKIE}=",
        f"{SESSION_COOKIE}=short",
        f"{SESSION_COOKIE}={GOOD}a",
        f"{SESSION_COOKIE}={'a' * 100_000}",
        f"{SESSION_COOKIE}={'a' * 54}%",
        f"{SESSION_COOKIE}={'a' * 54}\xe9",
        f'{SESSION_COOKIE}="{GOOD}"',
        f"{SESSION_COOKIE}={GOOD}; {SESSION_COOKIE}={'b' * 55}",
        f"{SESSION_COOKIE}={'{tag}:x' * 8}",
        f"{SESSION_COOKIE}=" + "*" * 55,
    ],
)
def test_a_cookie_that_can_not_be_a_session_never_reaches_redis(app: Flask, redis: Redis, cookies: str) -> None:
    redis.config_resetstat()
    response = app.test_client(use_cookies=False).get(
        "/api/auth/sessions/validate", base_url=ORIGIN, headers={"Cookie": cookies}
    )
    assert response.status_code == 401
    assert response.get_json()["error"]["reason"] == "unknown"
    assert commands_run(redis) == {}


@pytest.mark.parametrize(
    "name", ["session", "__host-session", "__Host-Session", "__Secure-session", "__Host-session2"]
)
def test_a_cookie_of_another_name_is_not_looked_at(
    app: Flask, sign_in: Callable[..., LoadedSession], name: str
) -> None:
    response = app.test_client(use_cookies=False).get(
        "/api/auth/sessions/validate", base_url=ORIGIN, headers={"Cookie": f"{name}={sign_in().id}"}
    )
    assert response.get_json()["error"]["reason"] == "no_token"


def test_a_session_is_found_among_other_cookies(app: Flask, sign_in: Callable[..., LoadedSession]) -> None:
    response = app.test_client(use_cookies=False).get(
        "/private", base_url=ORIGIN, headers={"Cookie": f'a=1;{SESSION_COOKIE}={sign_in().id}; b="2=;"; c'}
    )
    assert response.status_code == 200


def test_the_digest_that_redis_holds_is_no_session(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession]
) -> None:
    live = sign_in()
    [key] = redis.keys("*:session:*")
    digest = key.decode().rsplit(":", 1)[1]
    for guess in (digest, digest[:55], live.id[:12] + digest[:43]):
        assert reason(app, guess) == "unknown"


# -- Cookies that are ------------------------------------------------------------------------------------------


def attributes(cookie: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in cookie.split(";")[1:])
    return {name.lower(): value for name, _, value in pairs}


def test_the_cookie_of_a_sign_in_has_every_protection(visitor: Visitor, wallet: Wallet) -> None:
    [cookie] = session_cookies(visitor.attempt(wallet))
    assert re.match(rf"{SESSION_COOKIE}=[A-Za-z0-9_-]{{55}};", cookie)
    assert attributes(cookie) == {"secure": "", "httponly": "", "path": "/", "samesite": "Lax"}


def test_cookie_outlives_the_browser_only_if_remembered(visitor: Visitor, wallet: Wallet) -> None:
    [cookie] = session_cookies(visitor.attempt(wallet, remember="1"))
    assert int(attributes(cookie)["max-age"]) == ABSOLUTE


def test_a_rotated_cookie_lives_as_long_as_its_session(
    app: Flask, sign_in: Callable[..., LoadedSession], pass_time: TimeMachine
) -> None:
    person = client(app, sign_in(remember=True).id)
    pass_time(10 * MINUTE)
    [cookie] = session_cookies(person.get("/renew"))
    assert ABSOLUTE - 10 * MINUTE - 2 <= int(attributes(cookie).pop("max-age")) <= ABSOLUTE - 10 * MINUTE
    assert attributes(cookie).keys() >= {"secure", "httponly", "path", "samesite"}


def test_the_cookie_is_strict_if_the_site_wants_it(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    visitor = Visitor(make_app(SESSIONS_CORE_COOKIE_SAMESITE="Strict"))
    [cookie] = session_cookies(visitor.attempt(wallet))
    assert attributes(cookie)["samesite"] == "Strict"


def test_insecure_cookie_has_no_host_prefix(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """It is for development browsers that refuse `Secure` cookies on plain HTTP."""
    visitor = Visitor(make_app(SESSIONS_CORE_COOKIE_SECURE=False))
    cookies = visitor.attempt(wallet).headers.getlist("Set-Cookie")
    [cookie] = [cookie for cookie in cookies if cookie.startswith("session=")]
    assert attributes(cookie) == {"httponly": "", "path": "/", "samesite": "Lax"}


def test_the_cookie_is_set_only_when_the_id_is_new(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    assert len(session_cookies(visitor.attempt(wallet))) == 1
    token = {"X-CSRFToken": visitor.token("/session")}
    quiet = ["/session", "/set/a/1", "/nested/x", "/pop/a", "/sign-in", "/sign-out", "/nowhere"]
    assert [session_cookies(visitor.get(path)) for path in quiet] == [[]] * len(quiet)
    assert session_cookies(visitor.json("/api/auth/sessions/keep-alive", "POST", headers=token)) == []
    assert len(session_cookies(visitor.get("/renew"))) == 1
    assert len(session_cookies(visitor.sign_out())) == 1


@pytest.mark.parametrize("path", ["/sign-out", "/api/auth/sessions/logout"])
def test_the_cookie_that_deletes_another_has_its_attributes(visitor: Visitor, wallet: Wallet, path: str) -> None:
    visitor.sign_in(wallet)
    response = visitor.post(path, data={"csrf_token": visitor.token("/sign-out")})
    [cookie] = session_cookies(response)
    assert cookie.startswith(f"{SESSION_COOKIE}=;")
    found = attributes(cookie)
    assert found.pop("expires") == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert found == {"secure": "", "httponly": "", "path": "/", "samesite": "Lax", "max-age": "0"}


def test_a_failed_sign_in_leaves_the_cookie_as_it_is(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    session_id = visitor.sign_in(wallet)
    response = visitor.attempt(Wallet(), visitor.challenge(wallet.account()))
    assert response.status_code == 400
    assert session_cookies(response) == []
    assert visitor.session_id == session_id
    assert visitor.signed_in


def test_the_browser_cookie_of_visitors_has_every_protection(visitor: Visitor) -> None:
    [cookie] = [c for c in visitor.get("/sign-in").headers.getlist("Set-Cookie") if c.startswith(BROWSER_COOKIE)]
    assert attributes(cookie) == {"secure": "", "httponly": "", "path": "/", "samesite": "Lax"}
    assert "Set-Cookie" not in visitor.get("/sign-in").headers


# -- Private answers are stored nowhere ------------------------------------------------------------------------


def test_signed_in_pages_are_not_cached(app: Flask, sign_in: Callable[..., LoadedSession]) -> None:
    @app.get("/cacheable")
    @public
    def cacheable() -> Response:
        response = app.make_response("the same for all, the view thinks")
        response.headers["Cache-Control"] = "public, max-age=600"
        return response

    response = client(app, sign_in().id).get("/cacheable")
    assert response.headers.getlist("Cache-Control") == ["no-store"]
    response = Visitor(app).get("/cacheable")
    assert response.headers["Cache-Control"] == "public, max-age=600"
    assert "Cookie" in response.headers["Vary"]


# -- At rest ---------------------------------------------------------------------------------------------------


def test_dump_of_redis_signs_no_attacker_in(app: Flask, redis: Redis, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    visitor.get("/set/a/private-value")
    ids = [visitor.session_id]
    visitor.get("/renew")
    ids.append(visitor.session_id)
    dump = b"".join(key + (redis.dump(key) or b"") for key in redis.keys("*"))
    browser = visitor.client.get_cookie(BROWSER_COOKIE)
    assert browser is not None
    for secret in (*ids, *(session_id[12:] for session_id in ids), browser.value, "private-value", wallet.address):
        assert secret.encode() not in dump
    for candidate in set(re.findall(rb"[A-Za-z0-9_-]{55}", dump)):
        assert reason(app, candidate.decode()) == "unknown"


def test_a_tampered_record_signs_out_and_makes_an_event(
    app: Flask, redis: Redis, sign_in: Callable[..., LoadedSession], happened: list[events.Event]
) -> None:
    live = sign_in()
    [key] = redis.keys("*:session:*")
    stored = redis.get(key)
    redis.set(key, stored[:-1] + bytes([stored[-1] ^ 1]), keepttl=True)
    happened.clear()
    assert reason(app, live.id) == "unknown"
    assert events.RecordUnreadable(key=key.decode()) in happened


def test_secret_rotation_signs_no_user_out(
    app: Flask, make_app: Callable[..., Flask], overrides: dict[str, Any], sign_in: Callable[..., LoadedSession]
) -> None:
    person = client(app, sign_in(data={"a": 1}).id)
    new = ANOTHER
    person.client = with_views(make_app(SECRET_KEY=new, SECRET_KEY_FALLBACKS=[overrides["SECRET_KEY"]])).test_client()
    person.client.set_cookie(SESSION_COOKIE, sign_in(data={"a": 1}).id, secure=True)
    assert person.get("/data").get_json() == {"a": 1}
    assert person.get("/set/b/2").status_code == 200
    session_id = person.session_id
    person.client = with_views(make_app(SECRET_KEY=new)).test_client()
    person.session_id = session_id
    assert person.get("/data").get_json() == {"a": 1, "b": "2"}, "saved with the new key"


# -- What is overridden of Flask-Session -----------------------------------------------------------------------

UPSTREAM = {
    "ServerSideSession": "7940ca4abf894e52",
    "ServerSideSessionInterface.__init__": "c9dfef353684f68e",
    "ServerSideSessionInterface.open_session": "56993a61981ee9d3",
    "ServerSideSessionInterface.save_session": "79d7f12050cc8f0c",
    "ServerSideSessionInterface.regenerate": "1d440757b132ce81",
    "ServerSideSessionInterface.should_set_storage": "e6165628c1dfcd66",
    "RedisSessionInterface.__init__": "97f3cece4499e818",
}
STORAGE_HOOKS = {"_retrieve_session_data", "_delete_session", "_upsert_session", "_delete_expired_sessions"}


def upstream(name: str) -> Any:
    first, _, second = name.partition(".")
    module = flask_session.redis.redis if first.startswith("Redis") else flask_session.base
    found = getattr(module, first)
    return vars(found)[second] if second else found


@pytest.mark.parametrize("name", UPSTREAM)
def test_flask_session_is_as_it_was_when_we_overrode_it(name: str) -> None:
    digest = hashlib.sha256(inspect.getsource(upstream(name)).encode()).hexdigest()[:16]
    assert digest == UPSTREAM[name], f"Flask-Session changed {name}: read it, compare with store.py, then update this"


def test_flask_session_has_no_hook_that_we_do_not_know() -> None:
    known = {
        "__init__",
        "__module__",
        "__doc__",
        "__abstractmethods__",
        "_abc_impl",
        "session_class",
        "serializer",
        "ttl",
    }
    known |= {"_generate_sid", "_get_signer", "_unsign", "_sign", "_get_store_id", "should_set_storage"}
    known |= {"_register_cleanup_app_command", "_cleanup_n_requests", "regenerate", "save_session", "open_session"}
    base, redis = flask_session.base.ServerSideSessionInterface, flask_session.redis.redis.RedisSessionInterface
    ignored = {"__static_attributes__", "__firstlineno__"}  # Python 3.13
    assert set(vars(base)) | set(vars(redis)) == known | STORAGE_HOOKS | ignored & set(vars(base)) | {"__init__"}


def test_every_way_of_flask_session_to_its_storage_is_closed(app: Flask) -> None:
    store: Any = app.session_interface
    assert isinstance(store, SessionStore)
    for name in ("open_session", "save_session", "regenerate", "session_class"):
        assert name in vars(SessionStore)
    assert not hasattr(store, "client"), "its storage hooks have nothing to reach Redis with"
    for hook in STORAGE_HOOKS - {"_delete_expired_sessions"}:
        arguments = [None] * (len(inspect.signature(getattr(store, hook)).parameters))
        with pytest.raises(AttributeError):
            getattr(store, hook)(*arguments)
