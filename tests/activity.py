"""Events and clients for tests of the activity log."""

from __future__ import annotations

from redis import Redis

from sessions_core import events
from sessions_core.web.request_client import Client

from .constants import ALICE

HERE = Client("203.0.113.7", "Firefox/128.0", "Firefox on Linux")
THERE = Client("2001:db8:1::7", "curl/8.5.0", "curl")


def created(account: str = ALICE, handle: str = "sess_1") -> events.Event:
    """Return a sign-in."""
    return events.SessionCreated(handle=handle, account=account, session_type="standard")


def failed(account: str | None = ALICE) -> events.Event:
    """Return a refused sign-in, which goes to the refusals."""
    return events.SignInFailed(code="signature_wrong", account=account)


def wait_a_millisecond(redis: Redis) -> None:
    """Wait until the clock of Redis shows another millisecond: in one, events of different kinds have no order."""
    began = _milliseconds(redis)
    while _milliseconds(redis) == began:
        pass


def _milliseconds(redis: Redis) -> int:
    seconds, microseconds = redis.time()
    return int(seconds) * 1000 + int(microseconds) // 1000
