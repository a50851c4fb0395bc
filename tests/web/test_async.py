"""Guarded functions may be coroutines: checked like any other, and run as Flask runs them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import pytest
from flask import Flask, session
from flask.views import MethodView

from sessions_core import Misconfigured, public, signed_in

from ..actors import Visitor, Wallet, handle_of
from ..declared import ACTIONS, DEMANDS, ask, helper


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app({"actions": ACTIONS})
    app.testing = True  # so that what stops a request for good is raised here
    return app


def run(function: Callable[..., Awaitable[Any]]) -> Callable[..., Any]:
    """Run coroutines as asgiref does, which is an extra of Flask's."""

    @wraps(function)
    def in_a_loop(*args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            return await function(*args, **kwargs)

        return asyncio.run(call())

    return in_a_loop


async def coroutine() -> str:
    await asyncio.sleep(0)
    return "done"


def _async_view(declare: Callable[..., Any]) -> Callable[..., Any]:
    return declare(coroutine)


def _async_helper(declare: Callable[..., Any]) -> Callable[..., Any]:
    @public
    async def view() -> str:
        return str(await declare(coroutine)())

    return view


def _async_view_of_a_plain_helper(declare: Callable[..., Any]) -> Callable[..., Any]:
    @public
    async def view() -> str:
        return str(declare(helper)())

    return view


def _async_method(declare: Callable[..., Any]) -> Callable[..., Any]:
    class Things(MethodView):
        decorators = (public,)

        @declare
        async def post(self) -> str:
            return await coroutine()

    return Things.as_view("things")


@pytest.mark.parametrize(
    "make", [_async_view, _async_helper, _async_view_of_a_plain_helper, _async_method], ids=lambda make: make.__name__
)
@pytest.mark.parametrize("demand", DEMANDS, ids=lambda demand: demand[0].replace(" ", "_"))
def test_an_async_function_is_guarded_and_runs(
    app: Flask,
    visitor: Visitor,
    wallet: Wallet,
    make: Callable[[Any], Callable[..., Any]],
    demand: tuple[str, Callable[..., Any], str, str],
) -> None:
    _, declare, for_visitors, for_members = demand
    app.async_to_sync = run  # type: ignore[method-assign]
    app.add_url_rule("/things", "things", make(declare), methods=["POST"])
    answer = visitor.json("/things", "POST", headers={"X-CSRFToken": visitor.token()})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, for_visitors)
    visitor.sign_in(wallet)
    answer = visitor.send("POST", "/things")
    assert (answer.get_json()["error"]["code"] if answer.is_json else answer.get_data(as_text=True)) == for_members
    if for_members == "step_up_required":
        signed = visitor.send("POST", "/things", headers=visitor.proof(wallet, answer))
        assert signed.get_data(as_text=True) == "done"


@pytest.mark.parametrize("make", [_async_view, _async_method], ids=lambda make: make.__name__)
def test_an_async_route_without_asgiref_stops_the_start(
    app: Flask, monkeypatch: pytest.MonkeyPatch, make: Callable[[Any], Callable[..., Any]]
) -> None:
    monkeypatch.setitem(sys.modules, "asgiref", None)  # as if it were not installed
    with pytest.raises(Misconfigured, match=r"run pip install 'flask\[async\]'"):
        app.add_url_rule("/things", "things", make(signed_in), methods=["POST"])


def test_the_session_of_an_async_view_is_its_own(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    app.async_to_sync = run  # type: ignore[method-assign]

    @app.post("/things")
    @signed_in
    async def things() -> str:
        session["count"] = session.get("count", 0) + 1
        return str(session["count"])

    visitor.sign_in(wallet)
    assert [ask(visitor, "/things", "POST") for _ in range(2)] == [(200, "1"), (200, "2")]
    assert handle_of(visitor).startswith("sess_")
