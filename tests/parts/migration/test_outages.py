"""A Redis that stops in the middle of a move signs no user out: the next request finishes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, session
from redis import Redis

from sessions_core import events, public
from sessions_core.errors import StoreUnavailable
from sessions_core.parts.migration.events import MigrationRefused, SessionMigrated
from tests.actors import SESSION_COOKIE
from tests.constants import ALICE, VALIDATE
from tests.servers import Server

from .sites import Browser, account_of, former_site, signed_in


def stopping(server: Server) -> Callable[[dict[str, Any]], str | None]:
    """Return a hook that stops a Redis the first time: after the record was read, and before anything is written."""
    stopped: list[bool] = []

    def find(data: dict[str, Any]) -> str | None:
        if not stopped:
            stopped.append(True)
            server.stop()
        return account_of(data)

    return find


def refused(browser: Browser, app: Flask) -> str:
    answer = browser.send(app, VALIDATE)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    return str(answer.get_json()["error"]["code"])


def test_redis_that_stops_before_the_move_loses_no_session(
    make_site: Callable[..., Flask], server: Server, happened: list[events.Event]
) -> None:
    browser = signed_in(former_site(server.url), ALICE)
    app = make_site(ACCOUNT=stopping(server), SESSIONS_CORE_REDIS_URL=server.url)
    assert refused(browser, app) == "store_unavailable"
    server.start()
    assert browser.account(app) == ALICE
    assert len([event for event in happened if isinstance(event, SessionMigrated)]) == 1


def test_former_redis_that_stops_in_a_move_loses_no_session(
    make_site: Callable[..., Flask], server: Server, raw: Redis, happened: list[events.Event]
) -> None:
    """The session has begun, and the former record is still there: the next request gets the one and ends the
    other.
    """
    browser = signed_in(former_site(server.url), ALICE)
    app = make_site(ACCOUNT=stopping(server), REDIS_URL=server.url)
    assert refused(browser, app) == "store_unavailable"
    assert SESSION_COOKIE not in browser.jar
    server.start()
    assert raw.keys("session:*")
    assert browser.account(app) == ALICE
    assert not raw.keys("session:*")
    assert len([event for event in happened if isinstance(event, SessionMigrated)]) == 1


def test_sign_out_counts_although_the_former_redis_is_lost(
    make_site: Callable[..., Flask], server: Server, raw: Redis, redis: Redis, happened: list[events.Event]
) -> None:
    """The former record outlives it there, and must not sign the user in again."""
    browser = signed_in(former_site(server.url), ALICE)
    app = make_site(REDIS_URL=server.url, BESIDE=True)
    handle = browser.send(app, VALIDATE).get_json()["data"]["session_id"]
    lifecycle = app.extensions["sessions_core"].lifecycle
    server.stop()
    with app.app_context(), pytest.raises(StoreUnavailable):
        lifecycle.revoke_handle(ALICE, handle)
    assert redis.exists(*redis.keys("*:closed"))
    server.start()
    with app.app_context():
        assert not lifecycle.revoke_handle(ALICE, handle)
    assert raw.keys("session:*")
    assert browser.account(app) is None
    assert [event.code for event in happened if isinstance(event, MigrationRefused)] == ["revoked"]
    assert not raw.keys("session:*")


def test_logout_that_can_not_be_remembered_gets_503(make_site: Callable[..., Flask], server: Server) -> None:
    """A user with a password stays signed in, and can try again."""
    app = make_site(SESSIONS_CORE_REDIS_URL=server.url)

    @app.get("/leave")
    @public
    def leave() -> str:
        session.clear()
        server.stop()
        return "signed out"

    browser = Browser()
    browser.send(app, "/data", json={"_user_id": "7"})
    assert browser.send(app, "/leave").status_code == 503
    server.start()
    assert browser.data(app) == {"_user_id": "7"}
