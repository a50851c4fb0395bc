"""Flask-Login: its `current_user` is the application's user of the wallet session."""

from __future__ import annotations

from typing import Any

import flask_login
import pytest
from flask import Flask
from flask_login import LoginManager, UserMixin, login_required, login_user, logout_user

import sessions_core
from sessions_core import Misconfigured, current_account, public, sessionless
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import EXTENSION

from ..actors import ORIGIN, Visitor, Wallet


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
