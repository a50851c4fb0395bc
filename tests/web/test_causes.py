"""What a refusal tells the developer: the true cause and the line to write, in development on the page, in the log
always.
"""

from __future__ import annotations

import html
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from sessions_core import events, public

from ..actors import ORIGIN, Visitor
from ..constants import PRODUCTION

PORT_8080 = "http://localhost:8080"
UNCHECKED = PRODUCTION | {"SESSIONS_CORE_REDIS_CHECK": False}


@pytest.fixture
def developed(make_app: Callable[..., Flask]) -> Visitor:
    return Visitor(with_form(make_app()))


@pytest.fixture
def served(make_app: Callable[..., Flask]) -> Visitor:
    visitor = Visitor(with_form(make_app(**UNCHECKED)))
    visitor.site = "https://app.example.org"
    return visitor


def with_form(app: Flask) -> Flask:
    @app.post("/note")
    @public
    def note() -> str:
        return "noted"

    return app


def page(answer: TestResponse) -> str:
    return html.unescape(answer.get_data(as_text=True))


def cause(happened: list[events.Event]) -> str:
    (refused,) = (each for each in happened if isinstance(each, events.RequestRefused))
    assert refused.cause
    return refused.cause


def post(visitor: Visitor, path: str, origin: str, **options: Any) -> TestResponse:
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"} | options.pop("headers", {})
    return visitor.client.post(path, base_url=origin, headers=headers, **options)


# -- Another port ------------------------------------------------------------------------------------------------


def test_another_port_is_named_with_the_line_to_write(developed: Visitor, happened: list[events.Event]) -> None:
    """`flask run --port 8080` and the twelve lines of README."""
    answer = post(developed, "/api/auth/challenges", PORT_8080, json={"account": "eip155:1:0x" + "1" * 40})
    error = answer.get_json()["error"]
    assert (answer.status_code, error["code"], error["reason"]) == (403, "cross_site_request", "other_address")
    assert error["cause"] == cause(happened)
    assert PORT_8080 in error["cause"]
    assert ORIGIN in error["cause"]
    assert f"""app.config["SESSIONS_CORE_PUBLIC_ORIGIN"] = '{PORT_8080}'""" in error["cause"]


def test_page_names_the_other_port_in_development(developed: Visitor, happened: list[events.Event]) -> None:
    answer = post(developed, "/note", PORT_8080)
    assert cause(happened) in page(answer)
    assert "another site" not in page(answer)


def test_line_to_write_is_right(make_app: Callable[..., Flask]) -> None:
    """With the line that the cause names, the same request is let through."""
    app = with_form(make_app(SESSIONS_CORE_PUBLIC_ORIGIN=PORT_8080))
    visitor = Visitor(app)
    visitor.site = PORT_8080
    assert post(visitor, "/note", PORT_8080, data={"csrf_token": visitor.token()}).status_code == 200
    answer = post(visitor, "/api/auth/challenges", PORT_8080, json={"account": "eip155:1:0x" + "1" * 40})
    assert answer.status_code == 201


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "\x00<script>" + "a" * 5000])
def test_other_site_is_quoted_and_bounded(developed: Visitor, happened: list[events.Event], origin: str) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": origin.replace("\x00", "\x01")}
    answer = developed.post("/note", headers=headers)
    assert answer.status_code == 403
    assert len(cause(happened)) < 600
    assert cause(happened).isprintable()
    assert "<script>" not in answer.get_data(as_text=True)


def test_other_host_is_named_with_ours(developed: Visitor, happened: list[events.Event]) -> None:
    answer = developed.client.get("/", base_url="http://192.168.1.7:5000")
    assert answer.status_code == 400
    assert "'192.168.1.7:5000'" in cause(happened)
    assert ORIGIN in cause(happened)
    assert cause(happened) in page(answer)


# -- The token and the cookie --------------------------------------------------------------------------------------


def test_missing_field_is_named_with_the_line(developed: Visitor, happened: list[events.Event]) -> None:
    answer = developed.post("/note")
    assert answer.status_code == 400
    assert '<input type="hidden" name="csrf_token" value="{{ csrf_token() }}">' in cause(happened)
    assert cause(happened) in page(answer)


def test_missing_cookie_is_named(make_app: Callable[..., Flask], happened: list[events.Event]) -> None:
    app = with_form(make_app())
    token = Visitor(app).token()
    visitor = Visitor(app)
    visitor.client = app.test_client(use_cookies=False)
    answer = visitor.post("/note", data={"csrf_token": token}, headers={"Cookie": "analytics=1"})
    assert answer.status_code == 400
    for part in ("__Host-session", "'analytics'", 'app.config["SESSIONS_CORE_COOKIE_SECURE"] = False'):
        assert part in cause(happened)
    assert cause(happened) in page(answer)


def test_token_of_another_browser_is_not_called_missing(developed: Visitor, happened: list[events.Event]) -> None:
    token = Visitor(developed.app).token()
    developed.token()
    developed.post("/note", data={"csrf_token": token})
    assert "belongs to another session" in cause(happened)


# -- Production ------------------------------------------------------------------------------------------------------


def test_production_names_the_cause_in_the_log_only(
    served: Visitor, happened: list[events.Event], caplog: pytest.LogCaptureFixture
) -> None:
    ways: dict[str, dict[str, str]] = {
        "csrf_token() }}": {"Origin": served.site},
        "https://other.example": {"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"},
    }
    for part, headers in ways.items():
        happened.clear()
        with caplog.at_level(logging.INFO):
            shown = served.post("/note", headers=headers)
            told = served.json("/note", "POST", headers=headers)
        assert shown.status_code in (400, 403)
        assert "For the developer" not in page(shown)
        assert part not in page(shown)
        assert "cause" not in told.get_json()["error"]
        refused = [each for each in happened if isinstance(each, events.RequestRefused)]
        assert [each.cause is not None and part in each.cause for each in refused] == [True, True]
        assert part in caplog.text
