"""While servers of the former version still run, each user is signed in at both, and signed out of both."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.parts.migration.events import MigrationRefused, SessionMigrated
from tests.actors import SESSION_COOKIE, together
from tests.constants import ALICE, BOB, VALIDATE
from tests.time_machine import TimeMachine

from .sites import Browser, former_site, signed_in


@pytest.fixture
def app(make_site: Callable[..., Flask]) -> Flask:
    return make_site(BESIDE=True)


def former_account(app: Flask, browser: Browser) -> str | None:
    """Who a former server says is signed in."""
    account: str | None = browser.send(app, "/").get_json().get("account")
    return account


def account_number(number: int) -> str:
    return f"eip155:1:0x{number:040d}"


@pytest.mark.parametrize(("kind", "users"), [("redis", 1000), ("signed cookie", 200)])
def test_thousand_sessions_survive_a_rolling_deployment(
    make_site: Callable[..., Flask], redis: Redis, redis_url: str, happened: list[events.Event], kind: str, users: int
) -> None:
    """Two former and two new servers, each request at a random one; then the former ones stop. Nobody is signed out
    at any time, and no former record is left in the end.
    """
    former = [former_site(redis_url if kind == "redis" else None) for _ in range(2)]
    new = [make_site(BESIDE=True) for _ in range(2)]
    after = [make_site(), make_site()]
    browsers = {account_number(n): signed_in(former[n % 2], account_number(n), basket=[n]) for n in range(users)}
    chance = random.Random(7)
    began = time.perf_counter()
    lost = []
    for _ in range(2):
        for account, browser in browsers.items():
            server = chance.choice([*former, *new])
            seen = former_account(server, browser) if server in former else browser.account(server)
            if seen != account:
                lost.append((server.name, account, seen))
    assert lost == []
    for account, browser in browsers.items():
        server = chance.choice(after)
        assert browser.data(server) == {"account": account, "basket": [int(account[-6:])]}
        assert "session" not in browser.jar
    print(f"{users} sessions of {kind}: {4 * users} requests in {time.perf_counter() - began:.1f} s, none lost")
    assert redis.keys("session:*") == []
    assert len([event for event in happened if isinstance(event, SessionMigrated)]) == users
    assert not any(isinstance(event, MigrationRefused) for event in happened)


def test_sign_out_at_a_new_server_reaches_the_former_ones(app: Flask, former: Flask, redis: Redis) -> None:
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    assert former_account(former, browser) == ALICE
    browser.sign_out(app)
    assert former_account(former, browser) is None
    assert browser.account(app) is None
    assert redis.keys("session:*") == []


def test_sign_out_at_a_new_server_deletes_a_signed_cookie(app: Flask) -> None:
    former = former_site(None)
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    browser.sign_out(app)
    assert former_account(former, browser) is None
    assert browser.account(app) is None


def test_sign_out_at_a_former_server_reaches_the_new_ones(app: Flask, former: Flask) -> None:
    browser = signed_in(former, ALICE)
    copy = browser.copy()
    assert browser.account(app) == ALICE
    copy.jar |= browser.jar
    browser.send(former, "/sign-out", json={})
    assert browser.account(app) is None
    assert copy.account(app) is None


def test_end_from_elsewhere_reaches_the_former_servers(app: Flask, former: Flask) -> None:
    laptop, phone, tablet = (signed_in(former, ALICE) for _ in range(3))
    handles = [each.send(app, VALIDATE).get_json()["data"]["session_id"] for each in (laptop, phone, tablet)]
    lifecycle = app.extensions["sessions_core"].lifecycle
    with app.app_context():
        lifecycle.revoke_handle(ALICE, handles[0])
    assert [former_account(former, each) for each in (laptop, phone, tablet)] == [None, ALICE, ALICE]
    with app.app_context():
        lifecycle.revoke_account(ALICE)
    assert [former_account(former, each) for each in (phone, tablet)] == [None, None]


def test_another_user_at_a_former_server_replaces_the_session(
    app: Flask, former: Flask, happened: list[events.Event]
) -> None:
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    browser.send(former, "/sign-in", json={"account": BOB})
    assert browser.account(app) == BOB
    assert former_account(former, browser) == BOB


@pytest.mark.parametrize("account", [ALICE, BOB], ids=["same user", "another"])
def test_sign_in_under_the_same_former_id_is_moved(app: Flask, former: Flask, account: str) -> None:
    """A former site may take the user out of its session, and keep that and its id for the next one."""
    browser = signed_in(former, ALICE, basket=[1])
    sid = browser.jar["session"]
    assert browser.account(app) == ALICE
    browser.send(former, "/sign-in", json={"account": None})
    assert browser.account(app) is None
    browser.send(former, "/sign-in", json={"account": account})
    assert browser.account(app) == account
    assert browser.data(app)["basket"] == [1]
    assert browser.jar["session"] == sid


def test_session_that_ended_by_its_clock_is_moved_again(
    app: Flask, former: Flask, pass_time: TimeMachine, redis: Redis
) -> None:
    """The user was at former servers for an hour, and is still signed in there."""
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    before = browser.jar[SESSION_COOKIE]
    pass_time(3600)
    assert former_account(former, browser) == ALICE
    assert browser.account(app) == ALICE
    assert browser.jar[SESSION_COOKIE] != before


def test_user_of_former_servers_is_moved_when_they_stop(
    app: Flask, make_site: Callable[..., Flask], former: Flask, pass_time: TimeMachine, redis: Redis
) -> None:
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    pass_time(3600)
    assert former_account(former, browser) == ALICE
    after = make_site()
    copy = browser.copy()
    assert browser.account(after) == ALICE
    assert redis.keys("session:*") == []
    pass_time(60)
    assert copy.account(after) is None


def test_second_browser_with_a_former_cookie_takes_it_over(app: Flask, former: Flask, pass_time: TimeMachine) -> None:
    """There are never two living copies: the latest one counts."""
    browser = signed_in(former, ALICE)
    copy = browser.copy()
    assert browser.account(app) == ALICE
    pass_time(60)
    assert copy.account(app) == ALICE
    assert len(app.extensions["sessions_core"].repository.living(ALICE)) == 1
    browser.jar.pop("session")
    assert browser.send(app, VALIDATE).get_json()["error"]["reason"] == "replaced"
    assert former_account(former, copy) == ALICE


def test_session_under_another_id_is_taken_over_too(app: Flask, former: Flask, pass_time: TimeMachine) -> None:
    """Its id has changed since the move, and the mark does not know the new one."""
    browser = signed_in(former, ALICE)
    copy = browser.copy()
    assert browser.account(app) == ALICE
    services = app.extensions["sessions_core"]
    with app.app_context():
        services.lifecycle.rotate(services.repository.load(browser.jar[SESSION_COOKIE], "never"))
    pass_time(60)
    assert copy.account(app) == ALICE
    assert former_account(former, copy) == ALICE
    assert len(services.repository.living(ALICE)) == 1


def test_requests_at_once_begin_one_session_beside_the_former(
    app: Flask, former: Flask, happened: list[events.Event]
) -> None:
    for _ in range(10):
        happened.clear()
        browser = signed_in(former, ALICE)
        copies = [browser.copy() for _ in range(4)]
        assert together(*(lambda each=each: each.account(app) for each in copies)) == [ALICE] * 4
        assert len({each.jar[SESSION_COOKIE] for each in copies}) == 1
        assert len([event for event in happened if isinstance(event, SessionMigrated)]) == 1


def test_user_at_new_servers_alone_does_not_expire_there(app: Flask, redis: Redis, redis_url: str) -> None:
    former = former_site(redis_url)
    browser = signed_in(former, ALICE)
    key = f"session:{browser.jar['session']}"
    redis.expire(key, 30)
    assert browser.account(app) == ALICE
    assert redis.ttl(key) > 86_400


def test_visitors_stay_at_the_former_store(app: Flask, former: Flask, redis: Redis) -> None:
    """Until the former servers have stopped: a visitor may sign in at one of them."""
    browser = Browser()
    browser.send(former, "/sign-in", json={"basket": [7]})
    assert browser.data(app) == {}
    browser.send(former, "/sign-in", json={"account": ALICE})
    assert browser.account(app) == ALICE
    assert browser.data(app)["basket"] == [7]


def test_visitor_of_a_new_server_may_sign_in_at_a_former_one(app: Flask, former: Flask) -> None:
    browser = Browser()
    browser.send(app, "/data", json={"seen": 1})
    browser.send(former, "/sign-in", json={"account": ALICE})
    assert browser.account(app) == ALICE
    assert browser.data(app)["seen"] == 1


def test_hook_that_fails_later_signs_no_user_out(make_site: Callable[..., Flask], former: Flask) -> None:
    broken: list[int] = []

    def account_of(data: dict[str, str]) -> str:
        if broken:
            raise KeyError("address")
        return data["account"]

    app = make_site(BESIDE=True, ACCOUNT=account_of)
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    broken.append(1)
    assert browser.account(app) == ALICE


CROSS_SITE_LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


def test_link_from_another_site_signs_no_user_out(app: Flask, former: Flask) -> None:
    """A former cookie with SameSite=Strict does not come with it."""
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    sid = browser.jar.pop("session")
    answer = browser.send(app, VALIDATE, headers=CROSS_SITE_LINK)
    assert answer.get_json()["data"]["account"] == ALICE
    browser.jar["session"] = sid
    assert browser.account(app) == ALICE


def test_request_outside_the_former_path_signs_no_user_out(make_site: Callable[..., Flask], former: Flask) -> None:
    app, with_path = make_site(BESIDE=True), make_site(BESIDE=True, SESSION_COOKIE_PATH="/data")
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    del browser.jar["session"]
    assert browser.account(with_path) == ALICE
    browser.data(with_path)
    assert browser.account(with_path) is None


def test_signed_cookie_that_is_gone_ends_its_session(app: Flask) -> None:
    former = former_site(None)
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    browser.send(former, "/", lose=True)
    browser.send(former, "/sign-out", json={})
    assert browser.account(app) is None
