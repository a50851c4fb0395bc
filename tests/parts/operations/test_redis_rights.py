"""A Redis user without some right: ends are never hidden by it, and start-up names what is missing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial

import pytest
from flask import Flask
from redis import Redis

from sessions_core.parts.operations.server_checks import refuse_unsafe_server
from sessions_core.sessions.record import EndedSession
from sessions_core.storage.connection import RedisConnection
from sessions_core.web.services import Services

from ...actors import Visitor, Wallet
from ...constants import REDIS_PREFIX, ROOT
from ...servers import Server, with_rights

ALL = ("~*", "+@all")


@pytest.fixture
def user(server: Server) -> Callable[..., str]:
    """Make the user `app` and return its URL. By default a user of Redis 7 has no channel."""
    return partial(with_rights, server)


@pytest.fixture
def app(user: Callable[..., str], make_app: Callable[..., Flask]) -> Flask:
    return make_app(SESSIONS_CORE_REDIS_URL=user(*ALL), SESSIONS_CORE_SESSIONS_PER_ACCOUNT=2)


def test_sign_out_is_true_without_channel_rights(app: Flask, wallet: Wallet) -> None:
    person = Visitor(app)
    person.sign_in(wallet)
    answer = person.sign_out()
    assert (answer.status_code, answer.headers["Location"]) == (303, "/signed-out")
    assert not person.signed_in


@pytest.mark.parametrize("scope", ["others", "everywhere"])
def test_ending_sessions_is_true_without_channel_rights(app: Flask, wallet: Wallet, scope: str) -> None:
    person, other = Visitor(app), Visitor(app)
    other.sign_in(wallet)
    person.sign_in(wallet)
    assert person.submit(f"/sessions/{scope}").status_code == 303
    assert not other.signed_in
    assert person.signed_in is (scope == "others")


def test_site_wide_revocation_needs_no_channel_rights(app: Flask, wallet: Wallet, services: Services) -> None:
    person = Visitor(app)
    person.sign_in(wallet)
    services.lifecycle.revoke_everybody()
    assert not person.signed_in


def test_sign_in_over_the_limit_works_without_channels(app: Flask, wallet: Wallet, services: Services) -> None:
    people = [Visitor(app) for _ in range(4)]
    for each in people:
        each.sign_in(wallet)
    assert [each.signed_in for each in people] == [False, False, True, True]


def test_a_missing_channel_right_is_logged_once(
    app: Flask, wallet: Wallet, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            person = Visitor(app)
            person.sign_in(wallet)
            person.sign_out()
    said = [each.getMessage() for each in caplog.records if "not announced" in each.getMessage()]
    assert len(said) == 1
    assert f"ACL SETUSER <user> &{services.repository.channel} +publish" in said[0]


def test_an_index_that_is_no_hash_does_not_hide_an_end(app: Flask, raw: Redis, wallet: Wallet) -> None:
    """The record is gone, which is what counts: tidying up its index may fail."""
    person = Visitor(app)
    session_id = person.sign_in(wallet)
    services: Services = app.extensions["sessions_core"]
    live = services.repository.load(session_id, "never")
    assert not isinstance(live, EndedSession)
    raw.set(live.keys.entries, "no hash")
    assert services.repository.revoke(live, "signed_out").ended == 1
    assert raw.exists(live.keys.record) == 0
    assert services.repository.revoke_account(wallet.account()).ended == 0


def test_sign_in_on_an_index_that_is_no_hash_writes_nothing(app: Flask, raw: Redis, wallet: Wallet) -> None:
    services: Services = app.extensions["sessions_core"]
    raw.set(services.repository.account_keys(wallet.account()).entries, "no hash")
    assert Visitor(app).attempt(wallet).status_code == 503
    assert raw.keys("*:session:*") == []


def test_the_documented_rights_suffice(
    server: Server, raw: Redis, make_app: Callable[..., Flask], wallet: Wallet, caplog: pytest.LogCaptureFixture
) -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    [line] = re.findall(r"^ACL SETUSER app .*$", text, re.MULTILINE)
    raw.execute_command(*line.replace(">password", ">secret").split())
    url = server.url.replace("unix://", "unix://app:secret@")
    refuse_unsafe_server(RedisConnection(url, 1), REDIS_PREFIX)
    app = make_app(SESSIONS_CORE_REDIS_URL=url)
    person, other = Visitor(app), Visitor(app)
    other.sign_in(wallet)
    person.sign_in(wallet)
    paths = ("/session", "/sessions", "/activity", "/readyz")
    assert [person.get(path).status_code for path in paths] == [200] * 4
    assert person.submit("/sessions/others").status_code == 303
    services: Services = app.extensions["sessions_core"]
    assert services.sweeper.sweep()["dead"] == 0
    assert person.sign_out().status_code == 303
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []
