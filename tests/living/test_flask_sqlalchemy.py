"""Flask-SQLAlchemy: the application keeps its users in tables, and finds them by their account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sessions_core import current_user, events, signed_in
from sessions_core.testing import TestWallet, sign_in


class Store:
    """The database of one application."""

    def __init__(self) -> None:
        self.db = SQLAlchemy(model_class=type("Model", (DeclarativeBase,), {}))

        class User(self.db.Model):  # type: ignore[name-defined, misc]
            id: Mapped[int] = mapped_column(primary_key=True)
            account: Mapped[str] = mapped_column(unique=True)
            visits: Mapped[int] = mapped_column(default=0)

        self.User = User

    def add(self, app: Flask) -> None:
        app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
        self.db.init_app(app)
        with app.app_context():
            self.db.create_all()
        self.app = app

        @app.get("/visit")
        @signed_in
        def visit() -> str:
            current_user.visits += 1
            self.db.session.commit()
            return f"{current_user.id}: {current_user.visits}"

    def close(self) -> None:
        with self.app.app_context():
            engine = self.db.engine
        engine.dispose()

    def user_for(self, account: Any) -> Any:
        """Return the user of an account, made at its first request."""
        query = self.db.select(self.User).filter_by(account=str(account))
        user = self.db.session.scalar(query)
        if user is None:
            user = self.User(account=str(account))
            self.db.session.add(user)
            self.db.session.commit()
        return user


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.close()


def test_tables_hold_the_users(assemble, store: Store) -> None:
    app = assemble(store.add, user_for=store.user_for)
    wallets = TestWallet(), TestWallet(seed="another")
    seen = []
    for wallet in (*wallets, wallets[0]):
        client = app.test_client()
        sign_in(client, wallet)
        seen += [client.get("/visit").text, client.get("/visit").text]
    assert seen == ["1: 1", "1: 2", "2: 1", "2: 2", "1: 3", "1: 4"]
    with app.app_context():
        users = store.db.session.scalars(store.db.select(store.User)).all()
        assert [user.account for user in users] == [wallet.account for wallet in wallets]


def test_events_reach_the_tables(assemble, store: Store) -> None:
    """A row made with the sign-in, in its request."""
    app = assemble(store.add)

    def remember(event: events.Event, **_: Any) -> None:
        if isinstance(event, events.SessionCreated):
            store.user_for(event.account)

    events.happened.connect(remember)
    wallet = TestWallet()
    sign_in(app.test_client(), wallet)
    with app.app_context():
        assert store.db.session.scalar(store.db.select(store.User.account)) == wallet.account
    events.happened.disconnect(remember)
