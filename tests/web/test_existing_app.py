"""What an application brings along that was there before: its settings, its proxies, its long addresses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import wraps
from typing import Any

import pytest
from flask import Flask, Response, request, session
from flask_wtf.csrf import CSRFProtect

from sessions_core import WalletSessions, public, signed_in

from ..actors import ORIGIN, Visitor


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("PERMANENT_SESSION_LIFETIME", timedelta(days=7), "SESSIONS_CORE_ABSOLUTE_SECONDS"),
        ("SESSION_COOKIE_NAME", "shop", "SESSIONS_CORE_COOKIE_NAME"),
        ("SESSION_COOKIE_DOMAIN", ".example.org", "one host"),
        ("SESSION_COOKIE_PATH", "/shop", "whole host"),
        ("SESSION_COOKIE_SAMESITE", "Strict", "SESSIONS_CORE_COOKIE_SAMESITE"),
        ("SESSION_PERMANENT", True, "sign-in page"),
        ("SESSION_TYPE", "filesystem", "SESSIONS_CORE_REDIS_URL"),
        ("SESSION_REDIS", "redis://elsewhere", "SESSIONS_CORE_REDIS_URL"),
        ("SESSION_KEY_PREFIX", "shop:", "SESSIONS_CORE_REDIS_PREFIX"),
        ("WTF_CSRF_METHODS", ["PUT"], "takes the token"),
    ],
)
def test_setting_without_effect_is_named_at_start(
    make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture, name: str, value: Any, instead: str
) -> None:
    with caplog.at_level(logging.WARNING):
        make_app(**{name: value})
    assert f"{name} is set and has no effect" in caplog.text
    assert instead in caplog.text


def test_ordinary_app_is_warned_of_nothing(overrides: dict[str, Any], redis: Any, caplog: Any) -> None:
    app = Flask("ordinary")
    app.config.update(overrides)
    CSRFProtect(app)
    with caplog.at_level(logging.WARNING):
        WalletSessions(app)
    assert "no effect" not in caplog.text


def test_csrf_methods_of_the_app_switch_nothing_off(make_app: Callable[..., Flask]) -> None:
    app = make_app(WTF_CSRF_METHODS=["PUT"])

    @app.post("/pay")
    @public
    def pay() -> str:
        return "paid"

    assert Visitor(app).json("/pay", "POST").get_json()["error"]["code"] == "csrf_failed"


@pytest.mark.parametrize("length", [520, 2000, 3500])
def test_long_address_survives_the_sign_in(visitor: Visitor, length: int) -> None:
    address = "/session?" + "a" * (length - 9)
    answer = visitor.get(address)
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith(address.partition("?")[2])
    assert f'name="next" value="{address}"' in visitor.get(answer.headers["Location"]).get_data(as_text=True)


def test_address_too_long_for_a_redirect_is_left_out(visitor: Visitor) -> None:
    """gunicorn and others refuse a request line of more than 4094 bytes: the sign-in page has to be reachable."""
    answer = visitor.get("/session?" + "%20" * 1300)
    assert answer.headers["Location"] == "/sign-in"


@pytest.fixture
def proxied(make_app: Callable[..., Flask]) -> Flask:
    app = make_app(SESSIONS_CORE_TRUSTED_PROXIES=1, SESSIONS_CORE_FORWARDED_PREFIX=True)

    @app.get("/members")
    @signed_in
    def members() -> str:
        return "members"

    return app


def test_prefix_of_a_proxy_is_in_every_link(proxied: Flask) -> None:
    answer = proxied.test_client().get("/members", base_url=ORIGIN, headers={"X-Forwarded-Prefix": "/shop"})
    assert answer.headers["Location"] == "/shop/sign-in?next=/shop/members"


@pytest.mark.parametrize("prefix", ["//evil.example", "https://evil.example", "/a b", "/\\evil.example", "/<b>", ""])
def test_prefix_that_is_no_path_is_dropped(proxied: Flask, prefix: str) -> None:
    answer = proxied.test_client().get("/members", base_url=ORIGIN, headers={"X-Forwarded-Prefix": prefix})
    assert answer.headers["Location"] == "/sign-in?next=/members"


def test_write_inside_a_stream_is_logged(make_app: Callable[..., Flask], caplog: pytest.LogCaptureFixture) -> None:
    app = make_app()

    @app.get("/stream")
    @public
    def stream() -> Response:
        def parts() -> Iterator[str]:
            yield "first"
            session["seen"] = True
            yield "second"

        from flask import stream_with_context

        return Response(stream_with_context(parts()))

    assert Visitor(app).get("/stream").text == "firstsecond"
    assert "flask.session was changed after its response had begun" in caplog.text


def test_preflight_is_answered_without_a_session(make_app: Callable[..., Flask]) -> None:
    app = make_app()

    @app.post("/items")
    @signed_in
    def items() -> str:
        return "saved"

    headers = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Sec-Fetch-Mode": "cors"}
    answer = app.test_client().options("/items", base_url=ORIGIN, headers=headers)
    assert answer.status_code == 200
    assert set(answer.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


def test_preflight_reaches_a_view_that_answers_options(make_app: Callable[..., Flask]) -> None:
    """`@cross_origin` of Flask-CORS: the function around the guarded view answers OPTIONS itself."""
    app = make_app()

    def cross_origin(view: Callable[[], str]) -> Callable[[], Any]:
        @wraps(view)
        def around() -> Any:
            return app.make_default_options_response() if request.method == "OPTIONS" else view()

        return around

    @app.route("/items", methods=["POST", "OPTIONS"], provide_automatic_options=False)
    @cross_origin
    @signed_in
    def items() -> str:
        return "saved"

    @app.route("/bare", methods=["POST", "OPTIONS"], provide_automatic_options=False)
    @signed_in
    def bare() -> str:
        return "open"

    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Accept": "application/json"}
    client = app.test_client()
    answer = client.options("/items", base_url=ORIGIN, headers=asked)
    assert (answer.status_code, "POST" in answer.headers["Allow"]) == (200, True)
    assert client.options("/bare", base_url=ORIGIN, headers=asked).status_code == 401, "a view guards itself"
    assert client.post("/items", base_url=ORIGIN, headers=asked | {"Origin": ORIGIN}).status_code == 401


@pytest.mark.parametrize("header", ["Sec-Purpose", "Purpose", "X-Moz"])
def test_prefetch_keeps_no_session_alive(app: Flask, person: Visitor, redis: Any, header: str) -> None:
    [record] = redis.keys("*:session:*")
    earlier = f"{int(redis.get(record)[:13]) - 120_000:013d}".encode()
    redis.setrange(record, 0, earlier)
    assert person.get("/session", headers={header: "prefetch;prerender"}).status_code == 200
    assert redis.get(record)[:13] == earlier
    assert person.get("/session").status_code == 200
    assert redis.get(record)[:13] > earlier
