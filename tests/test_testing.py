"""The seam with which an application's tests let time pass for a session."""

from __future__ import annotations

from flask import Flask

from sessions_core import testing

from .actors import Visitor, Wallet
from .constants import ABSOLUTE, IDLE, MINUTE, VALIDATE


def reason(visitor: Visitor) -> str | None:
    """Why the session of a visitor has ended; `None` while it lives. Asking is no activity."""
    answer = visitor.json(VALIDATE).get_json()
    return None if answer["success"] else str(answer["error"]["reason"])


def test_aged_session_lives_until_its_idle_end(app: Flask, visitor: Visitor) -> None:
    visitor.sign_in(Wallet())
    testing.age(app, visitor.session_id, IDLE - MINUTE)
    assert reason(visitor) is None
    assert visitor.json(VALIDATE).get_json()["data"]["time_remaining"] <= MINUTE
    testing.age(app, visitor.session_id, MINUTE)
    assert reason(visitor) == "idle"


def test_activity_keeps_an_aged_session_alive(app: Flask, visitor: Visitor) -> None:
    visitor.sign_in(Wallet())
    testing.age(app, visitor.session_id, IDLE - MINUTE)
    assert visitor.get("/session").status_code == 200
    testing.age(app, visitor.session_id, IDLE - MINUTE)
    assert reason(visitor) is None


def test_aged_session_ends_at_its_absolute_end(app: Flask, visitor: Visitor) -> None:
    visitor.sign_in(Wallet())
    testing.age(app, visitor.session_id, ABSOLUTE + 1)
    assert reason(visitor) == "absolute"


def test_ageing_an_ended_session_does_nothing(app: Flask, visitor: Visitor) -> None:
    session_id = visitor.sign_in(Wallet())
    visitor.sign_out()
    testing.age(app, session_id, MINUTE)
    visitor.session_id = session_id
    assert reason(visitor) == "signed_out"


def test_only_the_named_session_is_aged(app: Flask, visitor: Visitor) -> None:
    wallet, other = Wallet(), Visitor(app)
    visitor.sign_in(wallet)
    other.sign_in(wallet)
    testing.age(app, visitor.session_id, IDLE)
    assert (reason(visitor), reason(other)) == ("idle", None)
