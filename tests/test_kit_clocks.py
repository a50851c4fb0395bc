"""The kit's clocks: an application's tests let time pass for a session, without waiting for it."""

from __future__ import annotations

import pytest
from flask import Flask

from sessions_core.testing import TestSession, age, expire, session_of

from .actors import Visitor, Wallet
from .constants import ABSOLUTE, IDLE, MINUTE, VALIDATE


@pytest.fixture
def session(visitor: Visitor) -> TestSession:
    visitor.sign_in(Wallet())
    return session_of(visitor.client)


def reason(visitor: Visitor) -> str | None:
    """Why the session of a visitor has ended; `None` while it lives. Asking is no activity."""
    answer = visitor.json(VALIDATE).get_json()
    return None if answer["success"] else str(answer["error"]["reason"])


def test_aged_session_lives_until_its_idle_end(visitor: Visitor, session: TestSession) -> None:
    age(session, seconds=IDLE - MINUTE)
    assert (reason(visitor), session.end_reason) == (None, None)
    assert visitor.json(VALIDATE).get_json()["data"]["time_remaining"] <= MINUTE
    age(session, minutes=1)
    assert (reason(visitor), session.end_reason) == ("idle", "idle")


def test_activity_keeps_an_aged_session_alive(visitor: Visitor, session: TestSession) -> None:
    age(session, seconds=IDLE - MINUTE)
    assert visitor.get("/session").status_code == 200
    age(session, seconds=IDLE - MINUTE)
    assert reason(visitor) is None


def test_aged_session_ends_at_its_absolute_end(visitor: Visitor, session: TestSession) -> None:
    age(session, seconds=ABSOLUTE + 1)
    assert reason(visitor) == "absolute"


def test_ageing_an_ended_session_does_nothing(visitor: Visitor, session: TestSession) -> None:
    session_id = visitor.session_id
    visitor.sign_out()
    age(session, minutes=1)
    visitor.session_id = session_id
    assert reason(visitor) == "signed_out"


def test_only_the_named_session_is_aged(app: Flask, visitor: Visitor) -> None:
    wallet, other = Wallet(), Visitor(app)
    visitor.sign_in(wallet)
    other.sign_in(wallet)
    age(session_of(visitor.client), seconds=IDLE)
    assert (reason(visitor), reason(other)) == ("idle", None)


def test_expired_session_has_ended_for_inactivity(visitor: Visitor, session: TestSession) -> None:
    expire(session)
    assert (reason(visitor), session.load()) == ("idle", None)
    expire(session)
    assert reason(visitor) == "idle"
