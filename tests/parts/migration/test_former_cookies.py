"""A former cookie undoes no sign-out, takes no login over, and is not used up by a page of another site."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from flask import Flask, session
from flask_login import LoginManager
from redis import Redis

from sessions_core import events, public
from sessions_core.errors import Misconfigured
from sessions_core.parts.migration.events import MigrationRefused, SessionMigrated
from tests.actors import SESSION_COOKIE, Visitor
from tests.constants import ALICE, BOB, VALIDATE
from tests.time_machine import Clock, TimeMachine

from .sites import Browser, User, former_site, signed_in


def refusals(happened: list[events.Event]) -> list[str]:
    return [event.code for event in happened if isinstance(event, MigrationRefused)]


def test_remember_cookie_is_refused_long_after_a_sign_out(
    make_site: Callable[..., Flask], former: Flask, redis: Redis, clock: Clock, happened: list[events.Event]
) -> None:
    """It has no time in it, and is good for longer than any former session."""
    app = make_site(SECONDS=60)
    browser = Browser()
    browser.send(former, "/sign-in", json={"account": ALICE, "remember": ALICE})
    phone = Browser(jar={"remember_token": browser.jar.pop("remember_token")})
    assert browser.account(app) == ALICE
    browser.sign_out(app)
    TimeMachine(app, redis, clock)(3600)
    assert phone.account(app) is None
    assert refusals(happened) == ["revoked"]


def test_sign_out_is_remembered_for_31_days_at_least(
    make_site: Callable[..., Flask], former: Flask, redis: Redis
) -> None:
    app = make_site(SECONDS=60, FROM=["redis", "signed_cookie"])
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    browser.sign_out(app)
    [key] = redis.keys("*:closed")
    assert redis.ttl(key) > 30 * 86_400


# -- Logins with a password --------------------------------------------------------------------------------------


def logged_in(app: Flask, user: str = "7") -> Browser:
    """Return a browser with a session as Flask-Login leaves it."""
    browser = Browser()
    browser.send(app, "/data", json={"_user_id": user, "basket": [9]})
    return browser


def test_planted_cookie_does_not_take_over_a_login(app: Flask, former: Flask, happened: list[events.Event]) -> None:
    """A sibling host can set a cookie of the former name, of a session of the attacker's."""
    browser = logged_in(app)
    browser.jar |= signed_in(former, ALICE, basket=[1]).jar
    assert browser.account(app) is None
    assert browser.data(app) == {"_user_id": "7", "basket": [9]}
    assert not any(isinstance(event, SessionMigrated) for event in happened)


# -- Pages of other sites ----------------------------------------------------------------------------------------

IMAGE = {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
FRAME = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
LINK = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("headers", [IMAGE, FRAME], ids=["image", "frame"])
def test_page_of_another_site_uses_up_no_former_cookie(
    app: Flask, former: Flask, pass_time: TimeMachine, headers: dict[str, str]
) -> None:
    """The browser sends a former cookie with SameSite=None, and refuses ours."""
    browser = signed_in(former, ALICE)
    browser.send(app, VALIDATE, headers={"Sec-Fetch-Site": "cross-site"} | headers, lose=True)
    pass_time(60)
    assert browser.account(app) == ALICE


def test_link_from_another_site_moves_the_session(app: Flask, former: Flask) -> None:
    browser = signed_in(former, ALICE)
    answer = browser.send(app, VALIDATE, headers={"Sec-Fetch-Site": "cross-site"} | LINK)
    assert answer.get_json()["data"]["account"] == ALICE


def test_websocket_uses_up_no_former_cookie(app: Flask, former: Flask, happened: list[events.Event]) -> None:
    """Its answer is no response that a view could put a cookie into."""

    @app.route("/socket", websocket=True)
    @public
    def socket() -> str:
        return "" if session.get("account") else "nobody"

    browser = signed_in(former, ALICE)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    assert browser.send(app, "/socket", headers=upgrade).get_data(as_text=True) == "nobody"
    assert happened == []
    assert browser.account(app) == ALICE


# -- Sign-outs ---------------------------------------------------------------------------------------------------


def test_clearing_the_session_forgets_the_former_cookie(app: Flask, former: Flask, person: Visitor) -> None:
    """The session ends after all functions that Flask runs after a request."""
    browser = Browser(jar={SESSION_COOKIE: person.session_id} | signed_in(former, BOB).jar)
    assert browser.account(app) not in (None, BOB)
    assert browser.send(app, "/clear").status_code == 200
    assert browser.jar.keys() & {"session", SESSION_COOKIE} == set()
    assert browser.account(app) is None


def signed_login() -> tuple[Browser, Browser]:
    """Return a browser with the signed cookie of a user with a password, and one with an earlier cookie of theirs."""
    former, browser = former_site(None), Browser()
    browser.send(former, "/sign-in", json={"_user_id": "7"})
    earlier = browser.copy()
    browser.send(former, "/sign-in", json={"basket": [1]})
    assert browser.jar != earlier.jar
    return browser, earlier


@pytest.mark.parametrize("path", ["/clear", "/log-out", "/sign-out"])
def test_earlier_cookie_of_a_login_is_refused_after_logout(
    make_site: Callable[..., Flask], happened: list[events.Event], path: str
) -> None:
    """Each answer of the former site brought another signed cookie, and all of them name the user."""
    app = make_site(ACCOUNT=lambda data: None, FROM=["signed_cookie"])
    browser, earlier = signed_login()
    assert browser.data(app)["_user_id"] == "7"
    if path == "/sign-out":
        page = browser.send(app, "/sign-in").get_data(as_text=True)
        [token, *_] = re.findall(r'name="csrf_token" value="([^"]+)"', page)
        answer = browser.send(app, path, method="POST", data={"csrf_token": token})
    else:
        answer = browser.send(app, path)
    assert answer.status_code in (200, 302, 303)
    assert "_user_id" not in browser.data(app)
    assert earlier.data(app) == {}
    assert refusals(happened) == ["revoked"]


def test_former_login_is_refused_after_revoke_all(
    make_site: Callable[..., Flask], happened: list[events.Event]
) -> None:
    app = make_site(ACCOUNT=lambda data: None, FROM=["signed_cookie"])
    browser, _ = signed_login()
    app.test_cli_runner().invoke(args=["sessions", "revoke-all", "--everybody", "--yes"])
    assert browser.data(app) == {}
    assert refusals(happened) == ["revoked"]


def test_logout_forgets_a_former_cookie(app: Flask, former: Flask) -> None:
    """It may be that of a wallet: a login that began here kept it from being read."""
    browser = logged_in(app)
    browser.jar |= signed_in(former, ALICE).jar
    browser.send(app, "/log-out")
    assert "session" not in browser.jar
    assert browser.account(app) is None


# -- Remember cookies of this site -------------------------------------------------------------------------------


def test_remember_cookies_of_this_site_need_another_name(make_site: Callable[..., Flask]) -> None:
    """A password would become a wallet session, and the cookie that was just set would be deleted."""
    app = make_site()
    LoginManager(app).user_loader(User)
    with pytest.raises(Misconfigured, match="REMEMBER_COOKIE_NAME"):
        Browser().send(app, "/data")
    app.config["REMEMBER_COOKIE_NAME"] = "remember"
    assert Browser().data(app) == {}


def test_remember_cookie_name_counts_only_if_it_is_moved(make_site: Callable[..., Flask]) -> None:
    app = make_site(FROM=["redis"])
    LoginManager(app).user_loader(User)
    assert Browser().data(app) == {}


def test_checklist_warns_of_one_secret_for_remember_cookies(make_site: Callable[..., Flask]) -> None:
    """Flask-Login does not sign the name of a cookie."""
    other = "yet another secret of 32 characters or more, 4711"
    for secrets, warned in ([], True), ([other], False):
        app = make_site(SECRETS=secrets, SECRET_KEY_FALLBACKS=[other], REMEMBER_COOKIE_NAME="remember")
        LoginManager(app).user_loader(User)
        result = app.test_cli_runner().invoke(args=["sessions", "check", "--offline", "--json"])
        assert ("only a password" in result.stdout) == warned
