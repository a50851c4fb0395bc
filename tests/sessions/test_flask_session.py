"""`flask.session` as Flask's own works: whoever asks first has it read, and all it takes comes back as it was."""

from __future__ import annotations

import enum
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask, abort, flash, get_flashed_messages, session
from flask_session import Session
from markupsafe import Markup

from sessions_core import WalletSessions, current_account, public, sessionless, signed_in
from sessions_core.errors import Misconfigured

from ..actors import BROWSER_COOKIE, Visitor, Wallet, together

NOW = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


class Colour(enum.StrEnum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: int


def signed_in_at(app: Flask, wallet: Wallet) -> Visitor:
    """Sign in once the routes of the test are there."""
    person = Visitor(app)
    person.sign_in(wallet)
    return person


def tab_of(person: Visitor) -> Visitor:
    """Another tab of the same browser."""
    tab = Visitor(person.app)
    tab.session_id = person.session_id
    browser = person.client.get_cookie(BROWSER_COOKIE)
    assert browser
    tab.client.set_cookie(BROWSER_COOKIE, browser.value, secure=True)
    return tab


# -- Whoever asks first has it read ----------------------------------------------------------------------------


@pytest.fixture
def early(overrides: dict[str, Any]) -> Flask:
    """An existing app whose hook was registered before ours, and bans an account."""
    app = Flask("early")
    app.config.update(overrides)
    app.config["banned"] = set()

    @app.before_request
    def turn_away() -> None:
        if current_account and str(current_account) in app.config["banned"]:
            abort(403)
        session["visits"] = session.get("visits", 0) + 1

    WalletSessions(app)

    @app.get("/visits")
    @public
    def visits() -> str:
        return str(session["visits"])

    return app


def test_hook_before_ours_sees_the_signed_in_account(early: Flask, wallet: Wallet, redis: Any) -> None:
    person = Visitor(early)
    person.sign_in(wallet)
    assert person.get("/visits").status_code == 200
    early.config["banned"].add(wallet.account())
    assert person.get("/visits").status_code == 403


def test_write_of_an_early_hook_overwrites_nothing(early: Flask, wallet: Wallet, redis: Any) -> None:
    person = Visitor(early)
    person.sign_in(wallet)
    first = int(person.get("/visits").text)
    assert [int(person.get("/visits").text) for _ in range(3)] == [first + 1, first + 2, first + 3]
    assert person.signed_in


def test_early_hook_keeps_the_idle_clock_right(early: Flask, wallet: Wallet, redis: Any) -> None:
    """The hook's reading is no activity by itself; the route's is, and slides the clock all the same."""
    person = Visitor(early)
    person.sign_in(wallet)
    [record] = redis.keys("*:session:*")
    active = f"{int(redis.get(record)[:13]) - 120_000:013d}".encode()
    redis.setrange(record, 0, active)
    person.json("/api/auth/sessions/validate")
    assert redis.get(record)[:13] == active
    person.get("/visits")
    assert redis.get(record)[:13] > active


def test_write_on_a_route_without_a_session_is_logged(make_app: Callable[..., Flask], caplog: Any) -> None:
    app = make_app()

    @app.get("/health")
    @sessionless
    def health() -> str:
        session["seen"] = True
        return "fine"

    assert Visitor(app).get("/health").status_code == 200
    assert "declare it @public" in caplog.text


def test_hook_that_marks_the_session_breaks_no_file(make_app: Callable[..., Flask], visitor: Visitor) -> None:
    app = make_app()

    @app.before_request
    def make_permanent() -> None:
        session.permanent = True
        session.modified = True

    visitor = Visitor(app)
    for path in ("/sessions_core/static/lib/clock.js", "/livez", "/readyz", "/sign-in"):
        with visitor.get(path) as answer:
            assert answer.status_code == 200


def test_another_session_extension_is_refused_with_the_cure(overrides: dict[str, Any], redis: Any) -> None:
    app = Flask("stock")
    app.config.update(overrides, SESSION_TYPE="redis", SESSION_REDIS=redis)
    Session(app)
    with pytest.raises(Misconfigured, match=r"Remove Session\(app\)"):
        WalletSessions(app)


def test_session_replaced_later_is_refused_with_the_cure(make_app: Callable[..., Flask], visitor: Visitor) -> None:
    from flask.sessions import SecureCookieSessionInterface

    app = make_app()
    app.session_interface = SecureCookieSessionInterface()
    with pytest.raises(Misconfigured, match="Remove what replaces it"):
        app.test_client().get("/", base_url="http://localhost:5000")


def test_session_transaction_reads_and_writes(app: Flask, person: Visitor) -> None:
    with person.client.session_transaction(base_url=Visitor.site) as data:
        data["basket"] = ["pear"]
    with person.client.session_transaction(base_url=Visitor.site) as data:
        assert data["basket"] == ["pear"]
    assert person.signed_in


# -- What it can hold ------------------------------------------------------------------------------------------

VALUES = [
    *(None, True, 0, -1, 2**63, 2**64, -(2**80), 1.5, "", "text", "\ud800 lone", b"\x00bytes"),
    *([], [1, [2]], {}, {"a": {"b": 1}}, {1: "one", None: "none"}, (), (1, "two", (3,)), [("error", "no")]),
    *(Markup("<b>bold</b>"), uuid.UUID(int=7), NOW, NOW.replace(tzinfo=None), date(2026, 1, 31), Decimal("1.10")),
    {"nested": (Markup("<i>"), b"x")},
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_value_comes_back_as_it_was(app: Flask, wallet: Wallet, value: Any) -> None:
    found: list[Any] = []

    @app.get("/put")
    @signed_in
    def put() -> str:
        session["value"] = value
        return "kept"

    @app.get("/take")
    @signed_in
    def take() -> str:
        found.append(session["value"])
        return "taken"

    person = signed_in_at(app, wallet)
    assert person.get("/put").status_code == 200
    assert person.get("/take").status_code == 200
    assert (type(found[0]), repr(found[0])) == (type(value), repr(value))


@pytest.mark.parametrize(("value", "plain"), [(Colour.RED, "red"), (Point(1, 2), {"x": 1, "y": 2})])
def test_value_is_serialised_as_flask_does(app: Flask, person: Visitor, value: Any, plain: Any) -> None:
    with person.client.session_transaction(base_url=Visitor.site) as data:
        data["value"] = value
    with person.client.session_transaction(base_url=Visitor.site) as data:
        assert data["value"] == plain


def cycle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


@pytest.mark.parametrize("value", [object(), {1, 2}, {(1,): 2}, [object()], {"a": {3}}, cycle(), len])
def test_value_that_cannot_be_kept_is_refused_at_its_line(app: Flask, wallet: Wallet, value: Any) -> None:
    @app.get("/put")
    @signed_in
    def put() -> str:
        session["before"] = 1
        with pytest.raises(TypeError, match=r"flask\.session\['basket'\] can't keep"):
            session["basket"] = value
        with pytest.raises(TypeError, match=r"flask\.session\['basket'\]"):
            session.update(basket=value)
        with pytest.raises(TypeError, match=r"flask\.session\['basket'\]"):
            session.setdefault("basket", value)
        return "refused"

    person = signed_in_at(app, wallet)
    assert person.get("/put").text == "refused"
    with person.client.session_transaction(base_url=Visitor.site) as data:
        assert (data["before"], "basket" in data) == (1, False)


def test_value_changed_into_nonsense_names_its_key(app: Flask, wallet: Wallet, caplog: Any) -> None:
    @app.get("/put")
    @signed_in
    def put() -> str:
        session["basket"] = basket = []
        basket.append(object())
        return "kept"

    person = signed_in_at(app, wallet)
    assert person.get("/put").status_code == 500
    assert "flask.session['basket'] can't keep a object" in caplog.text


# -- Messages at once ------------------------------------------------------------------------------------------


def test_flashes_of_requests_at_once_are_all_kept(app: Flask, wallet: Wallet) -> None:
    gate = threading.Barrier(4)

    @app.get("/say/<what>")
    @signed_in
    def say(what: str) -> str:
        gate.wait(20)
        flash(Markup(f"<b>{what}</b>"))
        return "said"

    @app.get("/read")
    @signed_in
    def read() -> list[str]:
        return [str(message) for message in get_flashed_messages()]

    person = signed_in_at(app, wallet)
    tabs = [tab_of(person) for _ in range(4)]
    together(*(lambda tab=tab, number=number: tab.get(f"/say/{number}") for number, tab in enumerate(tabs)))
    assert sorted(person.get("/read").get_json()) == [f"<b>{number}</b>" for number in range(4)]
    assert person.get("/read").get_json() == []


def test_flash_said_while_others_are_read_is_not_lost(app: Flask, wallet: Wallet) -> None:
    reading, said = threading.Event(), threading.Event()

    @app.get("/say/<what>")
    @signed_in
    def say(what: str) -> str:
        flash(what)
        return "said"

    @app.get("/read")
    @signed_in
    def read() -> list[str]:
        found = get_flashed_messages()
        reading.set()
        assert said.wait(20)
        return list(found)

    person = signed_in_at(app, wallet)
    person.get("/say/first")
    tab, answers = tab_of(person), []
    thread = threading.Thread(target=lambda: answers.append(tab.get("/read").get_json()))
    thread.start()
    assert reading.wait(20)
    person.get("/say/second")
    said.set()
    thread.join()
    assert answers == [["first"]]
    assert person.get("/read").get_json() == ["second"]
