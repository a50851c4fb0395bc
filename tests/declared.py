"""What the tests of declarations have in common: functions to guard, and the careless ways to decorate them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from redis import Redis

from sessions_core import fresh_required, requires, signed_in

from .actors import Visitor

ACTIONS = {"thing.change": "Change the thing.", "thing.tell": "Tell of the thing.", "thing.show": "Show the thing."}
CHANGE = fresh_required(0, "thing.change")

DEMANDS: list[tuple[str, Callable[..., Any], str, str]] = [
    ("signed_in", signed_in, "no_token", "done"),
    ("signed_in()", signed_in(keeps_alive=False), "no_token", "done"),
    ("requires role", requires(role="admin"), "no_token", "permission_denied"),
    ("requires permission", requires("test-only"), "no_token", "permission_denied"),
    ("requires type", requires(session_type="professional"), "no_token", "permission_denied"),
    ("fresh_required", fresh_required(0, "thing.change"), "no_token", "step_up_required"),
]


def helper() -> str:
    return "done"


def ask(visitor: Visitor, path: str, method: str = "GET") -> tuple[int, str]:
    """Send a request and return its status with the code of the refusal, or with the text."""
    answer = visitor.send(method, path)
    return answer.status_code, answer.get_json()["error"]["code"] if answer.is_json else answer.get_data(as_text=True)


def calling(function: Callable[[], Any]) -> Callable[[], Any]:
    """Return a view of its own that calls a function."""
    return lambda: function()  # noqa: PLW0108  # else it would be the function itself


def plain(function: Callable[[], str]) -> Callable[[], str]:
    """Decorate a function the careless way: its name and its marks are lost."""

    def decorated(*args: Any, **kwargs: Any) -> str:
        return function(*args, **kwargs)

    return decorated


def wrapping(function: Callable[[], str]) -> Callable[[], str]:
    @wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> str:
        return function(*args, **kwargs)

    return decorated


def commands(redis: Redis) -> int:
    """Return how many commands Redis has carried out."""
    return int(redis.info("stats")["total_commands_processed"])
