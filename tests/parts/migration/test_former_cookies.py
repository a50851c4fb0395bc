"""A former cookie undoes no sign-out, takes no login over, and is not used up by a page of another site."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.parts.migration.events import MigrationRefused
from tests.constants import ALICE, VALIDATE
from tests.time_machine import Clock, TimeMachine

from .sites import Browser, signed_in


def refusals(happened: list[events.Event]) -> list[str]:
    return [event.code for event in happened if isinstance(event, MigrationRefused)]


def sign_out(app: Flask, browser: Browser) -> None:
    token = browser.send(app, VALIDATE).get_json()["data"]["csrf_token"]
    headers = {"Accept": "application/json", "X-CSRFToken": token}
    assert browser.send(app, "/api/auth/sessions/logout", json={}, headers=headers).status_code == 200


def test_remember_cookie_is_refused_long_after_a_sign_out(
    make_site: Callable[..., Flask], former: Flask, redis: Redis, clock: Clock, happened: list[events.Event]
) -> None:
    """It has no time in it, and is good for longer than any former session."""
    app = make_site(SECONDS=60)
    browser = Browser()
    browser.send(former, "/sign-in", json={"account": ALICE, "remember": ALICE})
    phone = Browser(jar={"remember_token": browser.jar.pop("remember_token")})
    assert browser.account(app) == ALICE
    sign_out(app, browser)
    TimeMachine(app, redis, clock)(3600)
    assert phone.account(app) is None
    assert refusals(happened) == ["revoked"]


def test_sign_out_is_remembered_for_31_days_at_least(
    make_site: Callable[..., Flask], former: Flask, redis: Redis
) -> None:
    app = make_site(SECONDS=60, FROM=["redis", "signed_cookie"])
    browser = signed_in(former, ALICE)
    assert browser.account(app) == ALICE
    sign_out(app, browser)
    [key] = redis.keys("*:closed")
    assert redis.ttl(key) > 30 * 86_400
