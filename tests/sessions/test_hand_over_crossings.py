"""What crosses a change of a session's id: slow requests, ends of the session, and a thief who comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, g, jsonify, render_template_string, request, session
from flask.typing import ResponseReturnValue
from redis import Redis

from sessions_core import current_session, events, public, requires, signed_in
from sessions_core.sessions.record import CONFIRMING_GRACE, GRACE, LoadedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.storage import scripts
from sessions_core.web.services import Services

from ..actors import BROWSER_COOKIE, SESSION_COOKIE, Visitor, Wallet, handle_of
from ..faults.relay import RedisRelay
from ..part_services import roles_of
from ..stored import end_of, link_of
from ..time_machine import TimeMachine


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return with_views(make_app())


def with_views(app: Flask) -> Flask:
    @app.get("/page")
    @signed_in
    def page() -> str:
        return "yours"

    @app.get("/open")
    @public
    def open_page() -> str:
        return render_template_string("<form>{{ csrf_token() }}</form>")

    @app.get("/admins")
    @requires(role="admin")
    def admins() -> str:
        return "for admins"

    @app.get("/admins/poll")
    @signed_in(keeps_alive=False)
    @requires(role="admin")
    def admins_poll() -> str:
        return "for admins"

    @app.get("/hook")
    @public
    def hook() -> str:
        return str(g.early)

    def early() -> None:
        g.early = current_session.role if request.path == "/hook" and current_session else "nobody"

    app.before_request_funcs[None].insert(0, early)

    @app.get("/slow")
    @signed_in
    def slow() -> str:
        app.extensions["meanwhile"]()
        session["slow"] = "kept"
        return "set"

    @app.get("/regenerate")
    @signed_in
    def regenerate() -> str:
        app.extensions["meanwhile"]()
        app.session_interface.regenerate(session)
        return "moved"

    @app.get("/set/<key>")
    @public
    def put(key: str) -> str:
        session[key] = "kept"
        return "set"

    @app.get("/data")
    @public
    def data() -> ResponseReturnValue:
        return jsonify({key: value for key, value in session.items() if key != "csrf_token"})

    return app


@pytest.fixture
def appoint(services: Services, wallet: Wallet) -> Callable[[str], None]:
    return lambda role: roles_of(services).assign(parse(wallet.account()), role)


def tab_of(app: Flask, person: Visitor, *, browser: bool = True) -> Visitor:
    """A second tab of a browser; without `browser` a thief who knows the session cookie."""
    tab = Visitor(app)
    tab.session_id = person.session_id
    cookie = person.client.get_cookie(BROWSER_COOKIE)
    assert cookie
    if browser:
        tab.client.set_cookie(BROWSER_COOKIE, cookie.value, secure=True)
    return tab


def before(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, job: Callable[[], Any]) -> None:
    """Have something else happen right before a method runs for the first time."""
    method = getattr(owner, name)

    def first(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(owner, name, method)
        job()
        return method(*args, **kwargs)

    monkeypatch.setattr(owner, name, first)


def set_cookies(answer: Response) -> str:
    return str(answer.headers.getlist("Set-Cookie"))


@pytest.mark.parametrize("prefetch", [False, True], ids=["request", "prefetch"])
@pytest.mark.parametrize("path", ["/page", "/admins", "/admins/poll", "/hook", "/api/auth/sessions/validate"])
def test_thief_first_after_a_promotion_gets_nothing(
    app: Flask,
    person: Visitor,
    appoint: Callable[[str], None],
    happened: list[events.Event],
    path: str,
    prefetch: bool,
) -> None:
    """The thief's own request could rotate the id, which is not a former one yet; a poll would never do so."""
    thief = tab_of(app, person, browser=False)
    assert thief.get("/page").status_code == 200
    appoint("admin")
    answer = thief.json(path, headers={"Sec-Purpose": "prefetch"} if prefetch else {})
    assert answer.status_code == 401 or answer.text == "nobody"
    assert SESSION_COOKIE not in set_cookies(answer)
    assert sum(isinstance(event, events.FormerIdRefused) for event in happened) == 1
    assert person.json("/admins").status_code == 200, "whose session it is goes on"


def test_thief_can_still_not_sign_the_promoted_user_out(
    app: Flask, person: Visitor, appoint: Callable[[str], None]
) -> None:
    thief = tab_of(app, person, browser=False)
    appoint("admin")
    answer = thief.json("/api/auth/sessions/logout", "POST")
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "rotated")
    assert person.get("/page").status_code == 200


def test_id_alone_stays_good_while_nothing_changes(app: Flask, person: Visitor) -> None:
    assert tab_of(app, person, browser=False).get("/page").status_code == 200


def test_slow_request_does_not_empty_the_cookie(
    app: Flask, person: Visitor, appoint: Callable[[str], None], pass_time: TimeMachine
) -> None:
    """It changed the id when it began, another request did so again, and the grace is over when it answers."""
    appoint("admin")
    tab = tab_of(app, person)

    def meanwhile() -> None:
        assert tab.get("/page").status_code == 200
        appoint("member")
        assert tab.get("/page").status_code == 200
        pass_time(GRACE / 1000 + 1)

    app.extensions["meanwhile"] = meanwhile
    answer = person.get("/slow")
    assert answer.status_code == 200
    assert SESSION_COOKIE not in set_cookies(answer)
    assert tab.get("/data").get_json() == {"slow": "kept"}


def test_grace_begins_when_the_id_changes(app: Flask, person: Visitor) -> None:
    """The request had read its session long before: an upload came in between."""
    tab = tab_of(app, person)

    def meanwhile() -> None:
        session.live.now -= GRACE + 5000  # as if it had been read that long ago

    app.extensions["meanwhile"] = meanwhile
    assert person.get("/regenerate").text == "moved"
    assert tab.get("/page").status_code == 200
    assert tab.session_id == person.session_id


def test_index_stays_small_however_often_the_id_changes(
    app: Flask, person: Visitor, services: Services, redis: Redis, pass_time: TimeMachine, wallet: Wallet
) -> None:
    live = services.repository.load(person.session_id, "never")
    for number in range(400):
        assert isinstance(live, LoadedSession)
        former, live = live, services.repository.rotate(live)
        if number % 100 == 0:
            pass_time(61)
            assert live is not None
            live = services.repository.load(live.id, "never")
    assert live is not None
    assert redis.hlen(live.keys.entries) <= 201
    assert end_of(services.repository, former.keys).reason == "rotated", "the latest is among those that stay"
    person.session_id = live.id
    assert person.get("/page").status_code == 200


def test_sign_in_elsewhere_keeps_the_entry_of_a_former_id(
    app: Flask, person: Visitor, other: Visitor, services: Services, redis: Redis, appoint: Callable[[str], None]
) -> None:
    """More than a hundred sessions of the account have ended, all of them with a later end than this one."""
    live = services.repository.load(person.session_id, "never")
    assert isinstance(live, LoadedSession)
    for number in range(130):
        redis.hset(
            live.keys.entries,
            f"{number:064x}",
            f"sess_{number}|{live.now}|{live.absolute_expires_at + 1000}|0|revoked",
        )
    tab = tab_of(app, person)
    appoint("admin")
    assert person.get("/page").status_code == 200
    services.lifecycle.start(parse(live.record.account), services.policy.standard)
    assert redis.hlen(live.keys.entries) < 130
    assert tab.get("/page").status_code == 200
    assert tab.session_id == person.session_id


def test_public_page_with_a_form_outlives_its_session(
    app: Flask,
    person: Visitor,
    services: Services,
    wallet: Wallet,
    appoint: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The session ends while the guard moves it; the page wrote nothing, so it is answered as to a visitor."""
    account, handle = parse(wallet.account()), handle_of(person)
    appoint("admin")
    before(monkeypatch, services.repository, "rotate", lambda: services.lifecycle.revoke_handle(account, handle))
    assert person.get("/open").status_code == 200


@pytest.mark.parametrize("kind", ["JSON", "page"])
def test_ending_all_others_in_a_dead_session_is_refused(
    app: Flask,
    person: Visitor,
    other: Visitor,
    services: Services,
    wallet: Wallet,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    """Another device ends this session at the same moment: the others live on, and the answer must say so."""
    account, handle = parse(wallet.account()), handle_of(person)
    before(
        monkeypatch, services.repository, "revoke_others", lambda: services.lifecycle.revoke_handle(account, handle)
    )
    if kind == "JSON":
        answer = person.send("DELETE", "/api/auth/sessions?scope=others")
    else:
        answer = person.submit("/sessions/others")
    assert answer.status_code == 401
    assert "session_ended_during_request" in answer.text
    assert other.get("/page").status_code == 200


@pytest.mark.parametrize("kind", ["JSON", "page"])
def test_recognising_in_a_dead_session_is_refused(
    app: Flask,
    person: Visitor,
    other: Visitor,
    services: Services,
    wallet: Wallet,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    account, handle, theirs = parse(wallet.account()), handle_of(person), handle_of(other)
    token = person.token("/session")
    before(monkeypatch, services.store, "amend", lambda: services.lifecycle.revoke_handle(account, handle))
    if kind == "JSON":
        path = f"/api/auth/sessions/{theirs}/recognise"
        answer = person.json(path, "POST", headers={"X-CSRFToken": token})
        assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "revoked")
    else:
        answer = person.post(f"/sessions/{theirs}/recognise", data={"csrf_token": token})
        assert (answer.status_code, "/sign-in" in answer.headers["Location"]) == (303, True)


def test_regenerate_in_an_early_hook_changes_the_id(app: Flask, person: Visitor) -> None:
    def early() -> None:
        if request.path == "/page":
            app.session_interface.regenerate(session)

    app.before_request_funcs[None].insert(0, early)
    former = person.session_id
    assert person.get("/page").status_code == 200
    assert person.session_id != former


def test_declaration_called_without_a_route_demands_a_token(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """A hook or an error page that does what a path without a route asks for is checked like a route."""
    app = make_app()

    @signed_in
    def transfer() -> str:
        return "transferred"

    app.register_error_handler(404, lambda error: transfer() if request.path == "/transfer" else error)
    person = Visitor(app)
    person.sign_in(wallet)
    token = person.token("/session")
    assert person.json("/transfer", "POST").status_code == 400
    headers = {"X-CSRFToken": token}
    assert person.json("/transfer", "POST", headers=headers | {"Origin": "https://evil.example"}).status_code == 403
    answer = person.json("/transfer", "POST", headers=headers)
    assert (answer.status_code, answer.text) == (200, "transferred")


def test_write_after_an_epoch_ended_its_session_is_refused(app: Flask, person: Visitor, services: Services) -> None:
    """The end of everybody's sessions deletes no record: each is older than an epoch from then on."""
    app.extensions["meanwhile"] = services.lifecycle.revoke_everybody
    answer = person.json("/slow")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "session_ended_during_request")


@pytest.mark.parametrize("former", ["visitor", "account"])
def test_sign_in_survives_a_lost_answer_about_the_former_session(
    make_app: Callable[..., Flask], redis_url: str, tmp_path: Path, wallet: Wallet, former: str
) -> None:
    """Redis has ended the session that this one replaces: giving up would leave the browser with neither."""
    script = scripts.REVOKE_VISITOR if former == "visitor" else scripts.REVOKE
    with RedisRelay(redis_url.removeprefix("unix://"), tmp_path, script) as relay:
        app = with_views(make_app(SESSIONS_CORE_REDIS_URL=f"unix://{relay.path}", SESSIONS_CORE_REDIS_TIMEOUT_MS=400))
        for armed in (False, True):  # Redis learns the script by the first
            user = Visitor(app)
            if former == "visitor":
                user.get("/set/cart")
            else:
                user.sign_in(Wallet())
            session_id, challenge = user.session_id, user.challenge(wallet.account())
            token = user.token("/sign-in?again=1")
            if armed:
                relay.armed.set()
            answer = user.attempt(wallet, challenge, csrf_token=token)
            assert answer.status_code == 303
            assert user.session_id != session_id
            assert user.get("/data").get_json() == ({"cart": "kept"} if former == "visitor" else {})
    assert relay.met == 1


def test_regenerate_tells_no_new_id_without_the_browser(
    app: Flask, person: Visitor, appoint: Callable[[str], None], services: Services
) -> None:
    """A request under way, let in by an id that was good; the id changes, and then its view asks for another."""
    thief = tab_of(app, person, browser=False)

    def meanwhile() -> None:
        appoint("admin")
        assert person.get("/page").status_code == 200
        session.modified = True
        services.store.amend(session, lambda record: None)  # so that the view meets the session as it is by now

    app.extensions["meanwhile"] = meanwhile
    answer = thief.get("/regenerate")
    assert SESSION_COOKIE not in set_cookies(answer)
    assert person.get("/page").status_code == 200


def test_former_ids_are_forgotten_after_a_quarter_of_an_hour(
    person: Visitor, services: Services, pass_time: TimeMachine
) -> None:
    for _ in range(2):
        live = services.repository.load(person.session_id, "never")
        assert isinstance(live, LoadedSession)
        moved = services.repository.rotate(live)
        assert moved is not None
        person.session_id = moved.id
        pass_time(CONFIRMING_GRACE / 1000 + 1)
    assert len(moved.record.formers) == 1


def test_session_is_listed_while_its_id_changes(
    app: Flask, person: Visitor, services: Services, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the reading of the index and that of the records: it could not be named or ended, as if dead."""
    handle = handle_of(person)
    live = services.repository.load(person.session_id, "never")
    assert isinstance(live, LoadedSession)
    before(monkeypatch, link_of(services.repository), "values", lambda: services.repository.rotate(live))
    [found] = services.repository.living(wallet.account())
    assert found.record.handle == handle
    assert found.keys != live.keys


def test_session_that_an_epoch_ended_gets_no_new_id(
    person: Visitor, services: Services, wallet: Wallet, redis: Redis
) -> None:
    """Its record was missing in the index, so signing out everywhere did not delete it."""
    live = services.repository.load(person.session_id, "never")
    assert isinstance(live, LoadedSession)
    redis.hdel(live.keys.entries, live.keys.digest)
    services.lifecycle.revoke_account(parse(wallet.account()))
    assert redis.exists(live.keys.record)
    assert services.repository.rotate(live) is None


def test_form_that_calls_itself_a_prefetch_changes_the_id(person: Visitor, appoint: Callable[[str], None]) -> None:
    token, former = person.token("/session"), person.session_id
    appoint("admin")
    person.post("/session/extend", data={"csrf_token": token}, headers={"Sec-Purpose": "prefetch"})
    assert person.session_id != former
