"""Flask-Login: its `current_user` is the application's user of the wallet session."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import flask_login
import pytest
from flask import Flask, request, session
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_required, login_user, logout_user

import sessions_core
from sessions_core import Misconfigured, current_account, public, sessionless
from sessions_core.sign_in.accounts import parse
from sessions_core.testing import TestWallet, age, csrf, expire, revoke, sign_in, visitor_session
from sessions_core.web.services import EXTENSION

from ..actors import BROWSER_COOKIE, ORIGIN, SESSION_COOKIE, Visitor, Wallet


class User(UserMixin):
    def __init__(self, id: str) -> None:
        self.id = id


def user_for(account: Any) -> User | None:
    return User(f"user of {account}")


def name() -> str:
    user = flask_login.current_user
    return user.id if user.is_authenticated else "anonymous"


def add(app: Flask) -> None:
    manager = LoginManager(app)
    manager.user_loader(User)
    manager.login_view = "login"
    add_routes(app)


def add_routes(app: Flask) -> None:
    app.add_url_rule("/name", "name", public(name))
    app.add_url_rule("/members", "members", public(login_required(name)))
    app.add_url_rule("/ours", "ours", public(lambda: getattr(sessions_core.current_user, "id", "visitor")))
    app.add_url_rule("/account", "account", public(lambda: str(current_account)))

    @app.get("/login")
    @public
    def login() -> str:
        login_user(User("somebody with a password"))
        return "logged in"

    @app.get("/logout")
    @public
    def logout() -> str:
        logout_user()
        return "logged out"


def test_current_user_follows_the_wallet_session(assemble) -> None:
    app = assemble(add, user_for=user_for)
    visitor, wallet = Visitor(app), Wallet()
    assert [visitor.get(path).text for path in ("/name", "/ours")] == ["anonymous", "visitor"]
    assert visitor.get("/members").status_code == 302
    visitor.sign_in(wallet)
    known = f"user of {wallet.account()}"
    assert [visitor.get(path).text for path in ("/name", "/members", "/ours")] == [known] * 3
    assert visitor.get("/account").text == wallet.account()
    visitor.sign_out()
    assert [visitor.get(path).text for path in ("/name", "/ours")] == ["anonymous", "visitor"]


def test_revoked_session_has_no_user(assemble) -> None:
    app = assemble(add, user_for=user_for)
    visitor, wallet = Visitor(app), Wallet()
    visitor.sign_in(wallet)
    app.extensions[EXTENSION].lifecycle.revoke_account(parse(wallet.account()))
    assert visitor.get("/name").text == "anonymous"


def test_visitors_still_cost_redis_nothing(assemble, redis) -> None:
    """Flask-Login's session protection would store something for each of them."""
    app = assemble(add, user_for=user_for)
    visitor = Visitor(app)
    visitor.get("/sign-in")
    before = redis.keys("*")
    assert visitor.get("/name").text == "anonymous"
    assert redis.keys("*") == before


def test_own_login_works_beside_wallets(assemble) -> None:
    app = assemble(add, user_for=user_for)
    visitor, wallet = Visitor(app), Wallet()
    visitor.get("/login")
    assert visitor.get("/name").text == "somebody with a password"
    assert visitor.get("/ours").text == "visitor"
    visitor.sign_in(wallet)
    assert visitor.get("/name").text == f"user of {wallet.account()}"


def test_account_without_a_user_is_anonymous(assemble) -> None:
    """A user of the other login must not come back for a wallet that the application does not know."""
    app = assemble(add, user_for=lambda account: None)
    visitor, wallet = Visitor(app), Wallet()
    visitor.get("/login")
    visitor.sign_in(wallet)
    assert [visitor.get(path).text for path in ("/name", "/ours")] == ["anonymous", "visitor"]
    assert visitor.get("/account").text == wallet.account()


def test_user_is_looked_up_once_for_a_request(assemble) -> None:
    asked = []

    def look(account: Any) -> User:
        asked.append(account)
        return User("one")

    app = assemble(add, user_for=look)
    app.add_url_rule("/twice", "twice", public(lambda: name() + sessions_core.current_user.id + name()))
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    asked.clear()
    assert visitor.get("/twice").text == "oneoneone"
    assert len(asked) == 1


def test_sessionless_route_has_no_user(assemble) -> None:
    app = assemble(add, user_for=user_for)
    app.add_url_rule("/health", "health", sessionless(name))
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    assert visitor.get("/health").text == "anonymous"


def test_strong_protection_makes_nobody_anonymous(assemble, caplog: pytest.LogCaptureFixture) -> None:
    app = assemble(add, {"SESSION_PROTECTION": "strong"}, user_for=user_for)
    visitor, wallet = Visitor(app), Wallet()
    visitor.sign_in(wallet)
    assert visitor.get("/name").text == f"user of {wallet.account()}"
    assert 'SESSION_PROTECTION = "strong" is set and has no effect' in caplog.text


def test_loaders_that_come_later_are_asked(assemble) -> None:
    """Even if something had an application context before, such as `db.create_all()`."""

    def late(app: Flask) -> None:
        manager = LoginManager(app)
        with app.app_context():
            pass
        add_routes(app)
        manager.user_loader(User)
        manager.request_loader(lambda request: User("by header") if "X-Key" in request.headers else None)

    app = assemble(late, user_for=user_for)
    visitor, wallet = Visitor(app), Wallet()
    assert visitor.get("/name", headers={"X-Key": "1"}).text == "by header"
    visitor.get("/login")
    assert visitor.get("/name").text == "somebody with a password"
    visitor.sign_in(wallet)
    for headers in ({}, {"X-Key": "1"}):
        assert visitor.get("/name", headers=headers).text == f"user of {wallet.account()}"


def test_without_user_for_flask_login_is_left_alone(assemble) -> None:
    app = assemble(add)
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    assert visitor.get("/name").text == "anonymous"
    with pytest.raises(Misconfigured, match=r"current_user needs .* WalletSessions\(app, user_for=…\)"):
        app.test_client().get("/ours", base_url=ORIGIN)


# -- The latest sign-in counts, and signing out ends both -------------------------------------------------------


@pytest.fixture
def beside(assemble) -> FlaskClient:
    """A browser at an application with both logins, as an adopter's test has it."""

    def add_both(app: Flask) -> None:
        add(app)

        @app.get("/login/<name>")
        @public
        def login_as(name: str) -> str:
            session.permanent = "permanent" in request.args
            login_user(User(name), remember="remember" in request.args)
            return "logged in"

        @app.get("/basket")
        @public
        def basket() -> str:
            session["basket"] = session.get("basket", 0) + 1
            return str(session["basket"])

    app = assemble(add_both, {"PERMANENT_SESSION_LIFETIME": timedelta(days=7)}, user_for=user_for)
    return app.test_client()


def id_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("__Host-session")
    return cookie.value if cookie is not None else ""


def sign_out(client: FlaskClient) -> None:
    """Choose "Sign out" on the session's page."""
    answer = client.post("/sign-out", data={"csrf_token": csrf(client)})
    assert answer.status_code == 303


@pytest.mark.parametrize("remembered", [False, True])
def test_login_gets_an_id_of_its_own(beside: FlaskClient, remembered: bool) -> None:
    """An attacker who knows the visitor's id must not be signed in with it."""
    if remembered:
        beside.get("/login/alice?remember")
        beside.delete_cookie("__Host-session")
    beside.get("/basket")
    planted = id_of(beside) if not remembered else ""
    beside.get("/name" if remembered else "/login/alice")
    assert id_of(beside) not in ("", planted)
    assert beside.get("/name").text == "alice"
    assert beside.get("/basket").text == "2"
    attacker = beside.application.test_client()
    attacker.set_cookie("__Host-session", planted or "x")
    assert attacker.get("/name").text == "anonymous"


def test_cookie_that_remembers_starts_a_session(beside: FlaskClient) -> None:
    """The session that a visitor had before, which an attacker may know, is left."""
    beside.get("/login/alice?remember")
    revoke(visitor_session(beside))
    beside.delete_cookie("__Host-session")
    other = beside.application.test_client()
    other.get("/basket")
    planted = id_of(other)
    beside.set_cookie("__Host-session", planted)
    assert beside.get("/name").text == "alice"
    assert id_of(beside) != planted
    assert other.get("/name").text == "anonymous"


def test_login_ends_by_the_clock_of_flask(beside: FlaskClient) -> None:
    beside.get("/login/alice")
    session = visitor_session(beside)
    age(session, hours=7 * 24 - 1)
    assert beside.get("/name").text == "alice"
    age(session, hours=7 * 24 - 1)
    assert beside.get("/name").text == "alice"
    expire(session)
    assert beside.get("/name").text == "anonymous"


def test_login_ends_after_a_month_in_use(beside: FlaskClient) -> None:
    beside.get("/login/alice")
    session = visitor_session(beside)
    names = []
    for _ in range(5):
        age(session, hours=6 * 24)
        names.append(beside.get("/name").text)
    assert names == ["alice"] * 4 + ["anonymous"]


def test_visitor_s_session_stays_short(beside: FlaskClient) -> None:
    """Each costs memory, and anyone can make one."""
    beside.get("/basket")
    session = visitor_session(beside)
    age(session, minutes=31)
    assert session.load() is None


@pytest.mark.parametrize("query", ["", "?permanent"])
def test_permanent_login_outlives_the_browser(beside: FlaskClient, query: str) -> None:
    answer = beside.get(f"/login/alice{query}")
    (cookie,) = [each for each in answer.headers.getlist("Set-Cookie") if each.startswith("__Host-session=")]
    assert ("Max-Age" in cookie) is bool(query)


@pytest.mark.parametrize("remember", ["", "?remember"])
def test_signing_out_of_the_wallet_ends_the_login(beside: FlaskClient, remember: str) -> None:
    beside.get(f"/login/alice{remember}")
    wallet = TestWallet()
    sign_in(beside, wallet)
    assert beside.get("/name").text == f"user of {wallet.account}"
    sign_out(beside)
    assert beside.get("/name").text == "anonymous"
    assert beside.get_cookie("remember_token") is None


def test_sign_out_form_ends_a_login_without_wallet(beside: FlaskClient) -> None:
    beside.get("/login/alice?remember")
    session = visitor_session(beside)
    sign_out(beside)
    assert session.load() is None
    assert beside.get("/name").text == "anonymous"


@pytest.mark.parametrize("path", ["/sign-out", "/api/auth/sessions/logout"])
@pytest.mark.parametrize("token", [None, "x"])
def test_signing_out_of_a_login_takes_a_token(beside: FlaskClient, path: str, token: str | None) -> None:
    beside.get("/login/alice")
    session = visitor_session(beside)
    answer = beside.post(path, data={"csrf_token": token} if token else {}, headers={"Accept": "application/json"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "csrf_failed")
    assert session.load() is not None
    assert beside.get("/name").text == "alice"
    answer = beside.post(path, data={"csrf_token": csrf(beside)}, headers={"Accept": "application/json"})
    assert answer.status_code in (200, 303)
    assert session.load() is None


@pytest.mark.parametrize("remember", ["", "?remember"])
def test_logout_user_ends_the_wallet_session(beside: FlaskClient, remember: str) -> None:
    beside.get(f"/login/alice{remember}")
    session = sign_in(beside, TestWallet())
    assert beside.get("/logout").text == "logged out"
    assert session.end_reason == "signed_out"
    assert [beside.get(path).text for path in ("/name", "/account")] == ["anonymous", "None"]
    assert beside.get_cookie("remember_token") is None


def test_login_of_another_user_ends_the_wallet_session(beside: FlaskClient) -> None:
    """What its account stored does not go to the other user."""
    session = sign_in(beside, TestWallet())
    beside.get("/basket")
    beside.get("/login/alice")
    assert session.end_reason == "replaced"
    assert [beside.get(path).text for path in ("/name", "/account")] == ["alice", "None"]
    assert beside.get("/basket").text == "1"


def test_login_of_the_same_user_keeps_the_wallet(beside: FlaskClient) -> None:
    wallet = TestWallet()
    session = sign_in(beside, wallet)
    beside.get(f"/login/user of {wallet.account}")
    assert session.end_reason is None
    assert beside.get("/account").text == wallet.account


def test_expired_wallet_session_leaves_a_remembered_login(beside: FlaskClient) -> None:
    """The user asked to stay signed in on this device, and has not signed out."""
    beside.get("/login/alice?remember")
    expire(sign_in(beside, TestWallet()))
    assert beside.get("/name").text == "alice"


def test_ending_all_sessions_ends_logins_too(beside: FlaskClient) -> None:
    beside.get("/login/alice")
    with beside.application.app_context():
        beside.application.extensions[EXTENSION].lifecycle.revoke_everybody()
    assert beside.get("/name").text == "anonymous"


@pytest.fixture
def apart(assemble) -> FlaskClient:
    """A browser at an application with both logins that has not given `user_for`."""

    def add_both(app: Flask) -> None:
        add(app)

        @app.get("/remember")
        @public
        def remember() -> str:
            login_user(User("alice"), remember=True)
            return "logged in"

    return assemble(add_both).test_client()


def copy_cookies(of: FlaskClient, to: FlaskClient) -> None:
    """Give a browser the cookies of both kinds of session that another one has."""
    for name in (SESSION_COOKIE, BROWSER_COOKIE):
        if cookie := of.get_cookie(name):
            to.set_cookie(name, cookie.value)


def test_without_user_for_logout_user_spares_the_wallet(apart: FlaskClient) -> None:
    session = sign_in(apart, TestWallet())
    apart.get("/logout")
    assert session.end_reason is None


def test_without_user_for_a_login_ends_the_wallet_session(apart: FlaskClient) -> None:
    """An attacker who signed in on this machine before, and kept the cookies, must not get the login."""
    session = sign_in(apart, TestWallet())
    attacker = apart.application.test_client()
    copy_cookies(apart, attacker)
    apart.get("/login")
    assert session.end_reason == "replaced"
    assert [apart.get(path).text for path in ("/name", "/account")] == ["somebody with a password", "None"]
    assert [attacker.get(path).text for path in ("/name", "/account")] == ["anonymous", "None"]


def test_without_user_for_no_remembered_login_is_stored(apart: FlaskClient) -> None:
    """An attacker plants the cookies of their own wallet session, which must not store the login."""
    apart.get("/remember")
    attacker = apart.application.test_client()
    session = sign_in(attacker, TestWallet())
    copy_cookies(attacker, apart)
    assert [apart.get("/name").text for _ in range(2)] == ["alice"] * 2
    assert attacker.get("/name").text == "anonymous"
    assert session.end_reason is None
