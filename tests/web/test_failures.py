"""How failures look, spoofed addresses, and that no failure tells more than it should."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, render_template_string
from redis import Redis
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from sessions_core import errors, events, public, signed_in

from ..actors import ORIGIN, Visitor, Wallet
from ..snapshot import refused, unchanged

DETAIL = "the password is hunter2 at /srv/secret/path"


@pytest.fixture
def site(app: Flask) -> Flask:
    @app.route("/broken", methods=["GET", "POST"])
    @public(csrf=False)
    def broken() -> str:
        raise ValueError(DETAIL)

    @app.get("/broken/private")
    @signed_in
    def broken_private() -> str:
        raise KeyError(DETAIL)

    @app.get("/abort/<int:status>")
    @public
    def abort_with(status: int) -> str:
        abort(status, description=DETAIL)

    @app.get("/raise/<code>")
    @public
    def raise_(code: str) -> str:
        raise errors.catalogue()[code](DETAIL, retry_after=3)

    return app


# -- Every error of the closed set --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(errors.catalogue().keys() - {"step_up_required"}))
def test_every_error_has_a_page_and_an_envelope(
    site: Flask, visitor: Visitor, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    error = errors.catalogue()[code]
    answer = visitor.json(f"/raise/{code}")
    assert answer.status_code == error.status
    body = answer.get_json()
    assert set(body) == {"success", "error"}
    always = {"reason"} if code in ("token_invalid", "token_expired") else set()
    assert set(body["error"]) == {"code", "message", "request_id"} | always
    assert body["success"] is False
    assert (body["error"]["code"], body["error"]["message"]) == (code, error.message)
    assert re.fullmatch("[0-9a-f]{16}", body["error"]["request_id"])
    assert answer.headers["Retry-After"] == "3"
    page = visitor.get(f"/raise/{code}")
    if issubclass(error, errors.NotSignedIn) and error is not errors.SessionEndedDuringRequest:
        assert page.status_code == 303
        return
    assert (page.status_code, page.mimetype) == (error.status, "text/html")
    text = page.get_data(as_text=True)
    assert f'data-code="{code}"' in text
    assert re.search(r'data-testid="request-id">[0-9a-f]{16}<', text)
    for text_ in (text, answer.get_data(as_text=True)):
        assert DETAIL not in text_
        assert "hunter2" not in text_


def test_broken_view_gives_a_plain_500_and_a_detailed_log(
    site: Flask, visitor: Visitor, happened: list[events.Event], caplog: pytest.LogCaptureFixture
) -> None:
    """The page names a request id that the log has too."""
    page = visitor.get("/broken")
    answer = visitor.json("/broken")
    for response in (page, answer):
        assert response.status_code == 500
        text = response.get_data(as_text=True)
        for leak in ("hunter2", "ValueError", "Traceback", "test_web_failures", "secret/path"):
            assert leak not in text
    shown = re.search(r'data-testid="request-id">([0-9a-f]{16})<', page.get_data(as_text=True))
    assert shown
    assert f"(request {shown[1]})" in caplog.text
    assert f"(request {answer.get_json()['error']['request_id']})" in caplog.text
    assert "hunter2" in caplog.text
    assert [getattr(event, "code", None) for event in happened] == ["internal_error"] * 2


def test_broken_view_signs_no_user_out(site: Flask, visitor: Visitor, wallet: Wallet, redis: Redis) -> None:
    visitor.sign_in(wallet)
    with unchanged(redis):
        response = visitor.get("/broken/private")
    assert response.status_code == 500
    assert response.headers.getlist("Set-Cookie") == []
    assert visitor.signed_in


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "bad_request"),
        (403, "permission_denied"),
        (404, "not_found"),
        (405, "method_not_allowed"),
        (409, "bad_request"),
        (410, "bad_request"),
        (413, "body_too_large"),
        (415, "media_type_unsupported"),
        (418, "bad_request"),
        (422, "bad_request"),
        (429, "rate_limited"),
        (500, "internal_error"),
        (501, "internal_error"),
        (503, "internal_error"),
    ],
)
def test_abort_gets_the_look_of_the_site_and_its_own_words(
    site: Flask, visitor: Visitor, caplog: pytest.LogCaptureFixture, status: int, code: str
) -> None:
    response = visitor.get(f"/abort/{status}")
    assert (response.status_code, response.mimetype) == (status, "text/html")
    text = response.get_data(as_text=True)
    assert f'data-code="{code}"' in text
    assert DETAIL in text, "what the application says to people is for people"
    answer = visitor.json(f"/abort/{status}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (status, code)
    assert answer.get_json()["error"]["message"] == DETAIL


@pytest.mark.parametrize("error", [ServiceUnavailable, TooManyRequests])
def test_a_view_s_own_retry_after_reaches_the_client(site: Flask, visitor: Visitor, error: type) -> None:
    @site.get("/busy")
    @public
    def busy() -> str:
        raise error(retry_after=30)

    assert visitor.get("/busy").headers["Retry-After"] == "30"


def test_templates_render_outside_a_request(site: Flask) -> None:
    with site.app_context():
        assert "Wallet Sessions" in render_template_string("{{ site.name }}{{ current_session or '' }}")


def test_abort_401_asks_to_sign_in(site: Flask, visitor: Visitor) -> None:
    assert visitor.get("/abort/401").headers["Location"] == "/sign-in?next=/abort/401"
    assert visitor.json("/abort/401").status_code == 401


def test_405_names_the_allowed_methods(visitor: Visitor, happened: list[events.Event]) -> None:
    response = visitor.json("/api/auth/challenges")
    assert (response.status_code, response.get_json()["error"]["code"]) == (405, "method_not_allowed")
    assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert len(happened) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/api/auth/challenges",
        "/api/auth/sessions/keep-alive",
        "/api/auth/sessions/logout",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_a_post_route_takes_nothing_else(
    visitor: Visitor, wallet: Wallet, redis: Redis, path: str, method: str
) -> None:
    visitor.sign_in(wallet)
    headers = {"X-CSRFToken": visitor.token("/session")}
    with unchanged(redis):
        response = visitor.client.open(path, method=method, base_url=ORIGIN, headers=headers)
    assert response.status_code == 405
    assert visitor.signed_in


def test_a_missing_page_makes_no_event(visitor: Visitor, happened: list[events.Event]) -> None:
    for path in ("/nothing", "/wp-login.php", "/static/../app.py", "/static/%2e%2e/app.py", "/" + "a" * 5000, "/%ff"):
        assert visitor.get(path).status_code == 404
    assert happened == []


def test_a_redirect_of_the_router_stays_one(site: Flask, visitor: Visitor) -> None:
    site.get("/folder/")(public(lambda: "here"))
    response = visitor.get("/folder")
    assert response.status_code == 308
    assert response.headers["Location"].endswith("/folder/")


@pytest.mark.parametrize(
    ("referrer", "back"),
    [
        (ORIGIN + "/sign-in?next=/a", "/sign-in?next=/a"),
        (ORIGIN + "/", "/"),
        (ORIGIN, None),
        (ORIGIN + "//evil.example", None),
        (ORIGIN + "/\\evil.example", None),
        (ORIGIN + ".evil.example/", None),
        ("http://localhost:5000@evil.example/", None),
        ("https://evil.example/", None),
        ("javascript:alert(1)", None),
        ("//evil.example", None),
        ("", None),
    ],
)
def test_back_link_leads_to_the_form_on_this_site_only(visitor: Visitor, referrer: str, back: str | None) -> None:
    page = visitor.post("/sign-in", headers={"Referer": referrer}).get_data(as_text=True)
    found = re.search(r'data-testid="retry" href="([^"]*)"', page)
    assert found
    assert found[1] == (back or "/")
    assert "evil" not in page


# -- Spoofed addresses -----------------------------------------------------------------------------------------------

SPOOFED = [
    "evil.example",
    "evil.example:5000",
    "localhost.evil.example",
    "localhost@evil.example",
    "evil.example#localhost",
    "localhost, evil.example",
    "[::1",
    "[::ffff:127.0.0.1]",
    "xn--lcalhost-79a",
    "",
    " ",
    "\x00",
    "-",
    "a" * 3000,
    "evil.example\tlocalhost",
    "<script>alert(1)</script>",
]


@pytest.mark.parametrize("host", SPOOFED, ids=lambda host: ascii(host[:20]))
def test_a_spoofed_host_is_refused_and_is_in_no_link(
    app: Flask, wallet: Wallet, redis: Redis, happened: list[events.Event], host: str
) -> None:
    visitor = Visitor(app)
    visitor.sign_in(wallet)
    client = visitor.client
    for method, path in (("GET", "/"), ("GET", "/session"), ("POST", "/sign-in"), ("GET", "/nothing")):
        with refused(redis, happened, "host_untrusted"):
            response = client.open(path, method=method, base_url=ORIGIN, headers={"Host": host})
        assert response.status_code == 400
        page = response.get_data(as_text=True)
        assert "evil" not in page
        assert "<script>alert" not in page
        assert f'href="{ORIGIN}/"' in page
    with refused(redis, happened, "host_untrusted"):
        response = client.get(
            "/api/auth/sessions/validate", base_url=ORIGIN, headers={"Host": host, "Accept": "application/json"}
        )
    assert (response.status_code, response.get_json()["error"]["code"]) == (400, "host_untrusted")


def test_a_cross_site_form_to_a_spoofed_host_is_refused_too(
    app: Flask, redis: Redis, happened: list[events.Event]
) -> None:
    headers = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
    with refused(redis, happened, "host_untrusted"):
        assert app.test_client().post("/sign-in", base_url=ORIGIN, headers=headers).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "127.0.0.1", "[::1]:5000", "localhost:x"])
def test_local_name_redirects_to_the_configured_origin(app: Flask, host: str) -> None:
    """In development, for other names of this machine."""
    client = app.test_client()
    response = client.get("/sign-in", base_url=ORIGIN, headers={"Host": host})
    assert (response.status_code, response.headers["Location"]) == (307, ORIGIN + "/sign-in")
    for path in ("/%0d%0aX:%20y", "/%00", "/%e9", "/a%5c"):
        response = client.get(path, base_url=ORIGIN, headers={"Host": host})
        assert (response.status_code, response.headers["Location"]) == (307, ORIGIN + "/")
    assert client.post("/sign-in", base_url=ORIGIN, headers={"Host": host}).status_code == 400


def test_other_host_name_is_refused_in_production(make_app: Callable[..., Flask]) -> None:
    app = make_app(SESSIONS_CORE_DEVELOPMENT=False, SESSIONS_CORE_PUBLIC_ORIGIN="https://app.example.org")
    assert app.test_client().get("/", base_url="https://127.0.0.1").status_code == 400


FORWARDED = [
    {"X-Forwarded-Host": "evil.example"},
    {"X-Forwarded-Host": "app.example.org, evil.example"},
    {"X-Forwarded-Proto": "http"},
    {"X-Forwarded-For": "192.0.2.1"},
    {"X-Forwarded-Prefix": "/evil"},
    {"X-Forwarded-Port": "1"},
    {"Forwarded": "host=evil.example;proto=http"},
    {"X-Original-URL": "/session"},
    {"X-Rewrite-URL": "/session"},
    {"X-Host": "evil.example"},
]


@pytest.fixture
def proxied(make_app: Callable[..., Flask]) -> Callable[[int], tuple[Flask, list[Any]]]:
    def make(hops: int) -> tuple[Flask, list[Any]]:
        app = make_app(
            SESSIONS_CORE_DEVELOPMENT=False,
            SESSIONS_CORE_PUBLIC_ORIGIN="https://app.example.org",
            SESSIONS_CORE_TRUSTED_PROXIES=hops,
        )
        seen: list[Any] = []

        @app.get("/seen")
        @public
        def look() -> str:
            from flask import request, url_for

            seen.append((request.remote_addr, request.scheme, request.host, url_for("sessions.sign_in")))
            return url_for("sessions.sign_in", _external=True)

        return app, seen

    return make


@pytest.mark.parametrize("headers", FORWARDED, ids=str)
def test_without_a_trusted_proxy_forwarding_headers_say_nothing(
    proxied: Callable[[int], tuple[Flask, list[Any]]], headers: dict[str, str]
) -> None:
    app, seen = proxied(0)
    response = app.test_client().get("/seen", base_url="https://app.example.org", headers=headers)
    assert response.get_data(as_text=True) == "https://app.example.org/sign-in"
    assert seen == [("127.0.0.1", "https", "app.example.org", "/sign-in")]


def test_forwarded_headers_count_only_their_last_entry(
    proxied: Callable[[int], tuple[Flask, list[Any]]],
) -> None:
    """What a visitor wrote before it is ignored."""
    app, seen = proxied(1)
    client = app.test_client()
    response = client.get(
        "/seen",
        base_url="http://10.0.0.5:8000",
        headers={
            "X-Forwarded-For": "203.0.113.9, 192.0.2.1",
            "X-Forwarded-Proto": "http, https",
            "X-Forwarded-Host": "evil.example, app.example.org",
            "X-Forwarded-Prefix": "/evil",  # counts only with SESSIONS_CORE_FORWARDED_PREFIX
        },
    )
    assert response.status_code == 200
    assert seen == [("192.0.2.1", "https", "app.example.org", "/sign-in")]


def test_behind_one_proxy_a_spoofed_host_is_still_refused(
    proxied: Callable[[int], tuple[Flask, list[Any]]], happened: list[events.Event], redis: Redis
) -> None:
    app, seen = proxied(1)
    for headers in ({"X-Forwarded-Host": "evil.example"}, {"X-Forwarded-Host": "app.example.org, evil.example"}):
        with refused(redis, happened, "host_untrusted"):
            response = app.test_client().get("/seen", base_url="http://10.0.0.5:8000", headers=headers)
        assert response.status_code == 400
        assert "evil" not in response.get_data(as_text=True)
    assert seen == []


# -- Logs ------------------------------------------------------------------------------------------------------------


def test_a_refusal_is_no_error_in_the_log(visitor: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        visitor.post("/sign-in")
        visitor.get("/nothing")
        visitor.get("/session")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    (line,) = (record.getMessage() for record in caplog.records if record.name.startswith("sessions_core"))
    assert line.startswith("request.refused {'code': 'csrf_failed', 'endpoint': 'sessions.sign_in_post'")
