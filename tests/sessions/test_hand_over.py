"""A session's id changes: what the browser that has not received the new one gets, and what a thief does not."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask, Response, jsonify, session

from sessions_core import events, fresh_required, public, signed_in
from sessions_core.parts.devices.recent_sign_ins import DEVICE
from sessions_core.sessions.record import GRACE, LoadedSession
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import BROWSER_COOKIE, SESSION_COOKIE, Visitor, Wallet, handle_of, together
from ..part_services import roles_of
from ..time_machine import TimeMachine


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.get("/data")
    @public
    def data() -> Response:
        return jsonify({key: value for key, value in session.items() if key != "csrf_token"})

    @app.get("/set/<key>")
    @public
    def put(key: str) -> str:
        session[key] = "kept"
        return "set"

    @app.get("/slow/set/<key>")
    @public
    def slow_set(key: str) -> str:
        app.extensions["arrived"].release()
        assert app.extensions["gate"].wait(20)
        session[key] = "kept"
        return "set"

    @app.get("/page")
    @signed_in
    def page() -> str:
        return "yours"

    app.extensions["arrived"], app.extensions["gate"] = threading.Semaphore(0), threading.Event()
    return app


@pytest.fixture
def rotate(services: Services, wallet: Wallet) -> Callable[[Visitor], str]:
    """Change the role of the account and let one request meet the change, whose answer is lost."""
    roles = ["admin", "member"] * 20

    def rotate(person: Visitor) -> str:
        former = person.session_id
        roles_of(services).assign(parse(wallet.account()), roles.pop(0))
        assert person.get("/page").status_code == 200
        assert person.session_id != former, "the id did not change"
        person.session_id = former
        return former

    return rotate


def thief_with(app: Flask, session_id: str, browser: str | None = None) -> Visitor:
    thief = Visitor(app)
    thief.session_id = session_id
    if browser is not None:
        thief.client.set_cookie(BROWSER_COOKIE, browser, secure=True)
    return thief


def refused(happened: list[events.Event]) -> int:
    return sum(isinstance(event, events.FormerIdRefused) for event in happened)


def test_lost_answer_with_the_new_id_keeps_the_session(person: Visitor, rotate: Callable[[Visitor], str]) -> None:
    handle = handle_of(person)
    former = rotate(person)
    assert person.get("/page").status_code == 200
    assert person.session_id != former
    assert handle_of(person) == handle


def test_former_id_leads_to_the_same_new_id_each_time(person: Visitor, rotate: Callable[[Visitor], str]) -> None:
    former = rotate(person)
    found = set()
    for _ in range(3):
        person.session_id = former
        assert person.get("/page").status_code == 200
        found.add(person.session_id)
    assert len(found) == 1


def test_id_of_three_rotations_ago_still_leads_home(person: Visitor, rotate: Callable[[Visitor], str]) -> None:
    former = person.session_id
    for _ in range(3):
        rotate(person)
        person.get("/page")
    newest, person.session_id = person.session_id, former
    assert person.get("/page").status_code == 200
    assert person.session_id == newest


def test_parallel_requests_after_a_role_change_all_succeed(
    app: Flask, person: Visitor, services: Services, wallet: Wallet
) -> None:
    for role in ["admin", "member"] * 5:
        roles_of(services).assign(parse(wallet.account()), role)
        browser = person.client.get_cookie(BROWSER_COOKIE)
        assert browser
        tabs = [thief_with(app, person.session_id, browser.value) for _ in range(8)]
        answers = together(*(lambda tab=tab: tab.get("/page") for tab in tabs))
        assert [answer.status_code for answer in answers] == [200] * 8
        assert len({tab.session_id for tab in tabs}) == 1
        person.session_id = tabs[0].session_id


@pytest.mark.parametrize("cookie", [None, "another", "forged"])
def test_thief_with_only_the_former_id_gets_nothing(
    app: Flask,
    person: Visitor,
    rotate: Callable[[Visitor], str],
    happened: list[events.Event],
    cookie: str | None,
) -> None:
    former = rotate(person)
    another = Visitor(app)
    another.get("/sign-in")
    given = another.client.get_cookie(BROWSER_COOKIE)
    assert given
    browser = {None: None, "another": given.value, "forged": "x" * 43}[cookie]
    for path in ("/page", "/data", "/api/auth/sessions/validate"):
        thief = thief_with(app, former, browser)
        answer = thief.json(path)
        assert SESSION_COOKIE not in str(answer.headers.getlist("Set-Cookie"))
        assert answer.status_code == 401 or answer.get_json() == {}
    assert refused(happened) == 3
    assert person.get("/page").status_code == 200, "whose session it is goes on"


def test_former_id_after_the_grace_gets_nothing(
    person: Visitor, rotate: Callable[[Visitor], str], pass_time: TimeMachine, happened: list[events.Event]
) -> None:
    rotate(person)
    pass_time(GRACE / 1000 + 1)
    answer = person.json("/page")
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "rotated")
    assert refused(happened) == 0, "it came from the right browser, only too late"


def test_both_ids_end_together(
    app: Flask, person: Visitor, rotate: Callable[[Visitor], str], services: Services, wallet: Wallet
) -> None:
    former = rotate(person)
    person.get("/page")
    newest = person.session_id
    services.lifecycle.revoke_handle(parse(wallet.account()), handle_of(person))
    for session_id in (former, newest):
        person.session_id = session_id
        assert person.json("/page").get_json()["error"]["reason"] == "revoked"


def test_write_under_way_while_the_id_changes_is_kept(
    app: Flask, person: Visitor, services: Services, wallet: Wallet
) -> None:
    browser = person.client.get_cookie(BROWSER_COOKIE)
    assert browser
    writer = thief_with(app, person.session_id, browser.value)
    thread = threading.Thread(target=writer.get, args=("/slow/set/late",))
    thread.start()
    assert app.extensions["arrived"].acquire(timeout=20)
    roles_of(services).assign(parse(wallet.account()), "admin")
    assert person.get("/set/early").status_code == 200
    app.extensions["gate"].set()
    thread.join()
    assert person.get("/data").get_json() == {"early": "kept", "late": "kept"}
    assert writer.session_id == person.session_id, "both tabs are one browser, and have one cookie"


def test_write_of_a_browser_without_its_cookie_is_kept(
    app: Flask, person: Visitor, services: Services, wallet: Wallet
) -> None:
    """It was let in while the id was good: the write counts, and the new id is not told."""
    writer = thief_with(app, person.session_id)
    answers: list[Response] = []
    thread = threading.Thread(target=lambda: answers.append(writer.get("/slow/set/late")))
    thread.start()
    assert app.extensions["arrived"].acquire(timeout=20)
    roles_of(services).assign(parse(wallet.account()), "admin")
    assert person.get("/page").status_code == 200
    app.extensions["gate"].set()
    thread.join()
    assert answers[0].status_code == 200
    assert SESSION_COOKIE not in str(answers[0].headers.getlist("Set-Cookie"))
    assert person.get("/data").get_json() == {"late": "kept"}


@pytest.mark.parametrize("json", [True, False], ids=["JSON", "page"])
def test_write_that_was_not_kept_is_not_called_done(
    app: Flask, person: Visitor, services: Services, wallet: Wallet, json: bool
) -> None:
    handle = handle_of(person)
    answers: list[Response] = []
    ask = person.json if json else person.get
    thread = threading.Thread(target=lambda: answers.append(ask("/slow/set/late")))
    thread.start()
    assert app.extensions["arrived"].acquire(timeout=20)
    services.lifecycle.revoke_handle(parse(wallet.account()), handle)
    app.extensions["gate"].set()
    thread.join()
    assert answers[0].status_code == 401
    text = answers[0].get_data(as_text=True)
    assert "session_ended_during_request" in text
    assert "may have worked" in text
    assert "Nothing was changed" not in text


def test_write_of_a_visitor_goes_along_when_they_sign_in(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """Two requests at once: one stores something for the visitor, the other signs them in."""
    kept = lost = 0
    for number in range(40):
        guest = Visitor(app)
        guest.get("/set/first")
        challenge = guest.challenge(wallet.account())
        token = guest.token()
        cookies = {name: guest.client.get_cookie(name) for name in (SESSION_COOKIE, BROWSER_COOKIE)}
        assert all(cookies.values())
        tab = thief_with(app, guest.session_id, getattr(cookies[BROWSER_COOKIE], "value", ""))
        written, entered = together(
            lambda tab=tab, number=number: tab.get(f"/set/{number}"),
            lambda guest=guest, challenge=challenge, token=token: guest.attempt(wallet, challenge, csrf_token=token),
        )
        assert entered.status_code == 303
        data = guest.get("/data").get_json()
        assert data["first"] == "kept"
        kept += written.status_code == 200
        lost += written.status_code == 200 and str(number) not in data and "Set-Cookie" not in written.headers
    assert kept > 0, "no write was under way: these rounds show nothing"
    assert lost == 0


def test_remembered_browser_can_still_take_its_session_over(
    app: Flask, visitor: Visitor, wallet: Wallet, rotate: Callable[[Visitor], str]
) -> None:
    """A cookie that ends with the browser would leave its session without the one it is handed over by."""
    visitor.sign_in(wallet, remember="1")
    for name in (SESSION_COOKIE, BROWSER_COOKIE):
        cookie = visitor.client.get_cookie(name)
        assert cookie
        assert cookie.max_age
    rotate(visitor)
    assert visitor.get("/page").status_code == 200


def test_sign_out_with_a_former_id_of_long_ago_ends_the_session(
    app: Flask, person: Visitor, rotate: Callable[[Visitor], str], pass_time: TimeMachine, services: Services
) -> None:
    token = person.token("/session")
    former = rotate(person)
    pass_time(GRACE / 1000 + 1)
    assert person.post("/sign-out", data={"csrf_token": token}).status_code == 303
    assert thief_with(app, former).json("/page").get_json()["error"]["reason"] == "signed_out"


def test_sign_out_of_a_thief_ends_nothing_and_claims_nothing(
    app: Flask, person: Visitor, rotate: Callable[[Visitor], str]
) -> None:
    former = rotate(person)
    answer = thief_with(app, former).json("/api/auth/sessions/logout", "POST")
    assert (answer.status_code, answer.get_json()["error"]["reason"]) == (401, "rotated")
    assert person.get("/page").status_code == 200


def test_former_ids_are_bounded(
    person: Visitor, rotate: Callable[[Visitor], str], services: Services, wallet: Wallet
) -> None:
    for _ in range(12):
        rotate(person)
        person.get("/page")
    [live] = services.repository.living(wallet.account())
    assert isinstance(live, LoadedSession)
    assert len(live.record.formers) == 8


def test_json_client_repeats_the_refused_request_unchanged(
    make_app: Callable[..., Flask], wallet: Wallet, pass_time: TimeMachine
) -> None:
    """The refused request met a change of role, so its id and its CSRF secret changed while the wallet was asked."""
    app = make_app({"actions": {"invoice.pay": "Pay the invoice."}})

    @app.post("/pay")
    @fresh_required(0, "invoice.pay")
    def pay() -> str:
        return "paid"

    person = Visitor(app)
    person.sign_in(wallet)
    headers = {"X-CSRFToken": person.token("/session")}
    services: Services = app.extensions["sessions_core"]
    roles_of(services).assign(parse(wallet.account()), "admin")
    answer = person.json("/pay", "POST", json={}, headers=headers)
    assert answer.get_json()["error"]["code"] == "step_up_required"
    proof = person.proof(wallet, answer)
    pass_time(60)
    assert person.json("/pay", "POST", json={}, headers=headers).status_code == 400, "a former token alone"
    assert person.json("/pay", "POST", json={}, headers=headers | proof).text == "paid"


def test_name_given_while_the_id_changes_is_kept(
    app: Flask, person: Visitor, services: Services, wallet: Wallet
) -> None:
    """The name is written to a record that another request rotates at the same moment, by its handle."""
    handle = handle_of(person)
    for number, role in enumerate(["admin", "member"] * 10):
        roles_of(services).assign(parse(wallet.account()), role)
        browser = person.client.get_cookie(BROWSER_COOKIE)
        assert browser
        tab = thief_with(app, person.session_id, browser.value)
        token = {"X-CSRFToken": person.token("/sign-out")}
        path = f"/api/auth/sessions/{handle}"
        named, _ = together(
            lambda path=path, token=token, number=number: person.client.patch(
                path, json={"label": f"name {number}"}, base_url=person.site, headers=token
            ),
            lambda tab=tab: tab.get("/page"),
        )
        assert named.status_code == 200
        [live] = services.repository.living(wallet.account())
        assert DEVICE.of(live.record).label == f"name {number}"
        person.session_id = tab.session_id
