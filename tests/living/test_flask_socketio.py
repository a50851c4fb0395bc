"""Flask-SocketIO: handlers run without the guard, and must never take a user for a visitor."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, session
from flask_login import LoginManager, UserMixin, current_user
from flask_socketio import SocketIO

from sessions_core import Misconfigured, current_account, signed_in
from sessions_core.errors import NotSignedIn
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import EXTENSION

from ..actors import ORIGIN, Visitor, Wallet


class Chat:
    """Handlers that ask who is there."""

    def __init__(self, **options: Any) -> None:
        self.socketio = SocketIO(async_mode="threading", **options)
        self.seen: list[str] = []

    def add(self, app: Flask) -> None:
        self.socketio.init_app(app)

        @self.socketio.on("connect")
        def connect() -> None:
            self.seen.append(f"connect {current_account or 'visitor'}")

        @self.socketio.on("say")
        def say(word: str) -> str:
            return f"{current_account or 'visitor'}: {word} {session.get('colour')}"

        @self.socketio.on("members")
        @signed_in
        def members() -> str:
            return str(current_account)

        @app.get("/colour")
        @signed_in
        def colour() -> str:
            session["colour"] = "red"
            return "red"

    def client(self, visitor: Visitor) -> Any:
        base = {"HTTP_HOST": "localhost:5000"}
        return self.socketio.test_client(visitor.app, flask_test_client=visitor.client, headers=base)


def test_handler_knows_the_account(assemble) -> None:
    chat = Chat(manage_session=False)
    app = assemble(chat.add)
    visitor, wallet = Visitor(app), Wallet()
    visitor.sign_in(wallet)
    visitor.get("/colour")
    client = chat.client(visitor)
    assert chat.seen == [f"connect {wallet.account()}"]
    assert client.emit("say", "hello", callback=True) == f"{wallet.account()}: hello red"
    assert client.emit("members", callback=True) == wallet.account()


def test_handler_sees_that_a_session_was_revoked(assemble) -> None:
    """The connection stays open, and each event reads the session anew."""
    chat = Chat(manage_session=False)
    app = assemble(chat.add)
    visitor, wallet = Visitor(app), Wallet()
    visitor.sign_in(wallet)
    client = chat.client(visitor)
    app.extensions[EXTENSION].lifecycle.revoke_account(parse(wallet.account()))
    assert client.emit("say", "still there?", callback=True) == "visitor: still there? None"
    with pytest.raises(NotSignedIn):
        client.emit("members", callback=True)


def test_visitor_is_a_visitor(assemble) -> None:
    chat = Chat(manage_session=False)
    app = assemble(chat.add)
    assert chat.client(Visitor(app)).emit("say", "hello", callback=True) == "visitor: hello None"
    assert chat.seen == ["connect visitor"]


def test_managed_session_is_a_clear_error(assemble) -> None:
    """By default SocketIO puts a copy in place of flask.session, which knows nobody."""
    chat = Chat()
    app = assemble(chat.add)
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    with pytest.raises(Misconfigured, match=r"write SocketIO\(app, manage_session=False\)"):
        chat.client(visitor)


def test_pages_work_beside_the_socket(assemble) -> None:
    chat = Chat(manage_session=False)
    app = assemble(chat.add)
    assert app.test_client().get("/session", base_url=ORIGIN).headers["Location"] == "/sign-in?next=/session"


def test_flask_login_knows_the_user_in_a_handler(assemble) -> None:
    """The first event of a process may come before its first request."""
    chat = Chat(manage_session=False)

    def add(app: Flask) -> None:
        LoginManager(app).user_loader(lambda user_id: None)
        chat.add(app)
        chat.socketio.on_event("user", lambda: getattr(current_user, "id", "anonymous"))

    def user_for(account: Any) -> UserMixin:
        user = UserMixin()
        user.id = f"user of {account}"
        return user

    app = assemble(add, user_for=user_for)
    visitor, wallet = Visitor(app), Wallet()
    assert chat.client(visitor).emit("user", callback=True) == "anonymous"
    visitor.sign_in(wallet)
    assert chat.client(visitor).emit("user", callback=True) == f"user of {wallet.account()}"
