"""Without the part `activity` nothing is kept of what happened, and nothing leads to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from redis import Redis

from ..actors import Visitor, Wallet
from .left_out import all_but, commands, imported, without
from .walk import walk


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return without(make_app, "activity")


def test_user_signs_in_and_out_and_no_link_is_dead(app: Flask) -> None:
    found = walk(app)
    assert (found.signed_in, found.signed_out, found.dead) == (True, True, [])
    assert not any('"/activity' in page for page in found.pages.values())


def test_no_event_is_stored(app: Flask, redis: Redis) -> None:
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    visitor.sign_out()
    assert [key for key in redis.keys("*") if redis.type(key) == b"stream"] == []


def test_no_route_or_command_of_the_part_is_left(app: Flask) -> None:
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    for path in ("/activity", "/activity.csv", "/activity.json", "/admin/activity"):
        assert visitor.get(path).status_code == 404
    assert "sessions list" in commands(app)
    assert "sessions events" not in commands(app)


def test_site_activity_needs_administrators(make_app: Callable[..., Flask]) -> None:
    app = without(make_app, "roles")
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    assert visitor.get("/activity").status_code == 200
    assert visitor.get("/admin/activity").status_code == 404


def test_its_modules_are_not_imported(redis_url: str) -> None:
    found = imported(redis_url, all_but("activity"))
    assert {name for name in found if name.startswith("sessions_core.parts.activity")} == set()
