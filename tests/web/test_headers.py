"""Security headers: on every kind of response there is."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string
from werkzeug.test import TestResponse

from sessions_core import public, signed_in

from ..actors import ORIGIN, Visitor, Wallet

EXPECTED = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
}


def demand_headers(response: TestResponse, *, private: bool = True) -> None:
    for name, value in EXPECTED.items():
        assert response.headers.getlist(name) == [value], name
    (csp,) = response.headers.getlist("Content-Security-Policy")
    assert "unsafe" not in csp
    assert "*" not in csp
    assert "http" not in csp
    assert "data:" not in csp.replace("img-src 'self' data:", "")
    directives = dict(part.strip().split(" ", 1) for part in csp.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == "'self'"
    assert directives["style-src"] == "'self'"
    assert directives["frame-ancestors"] == "'none'"
    assert directives["base-uri"] == "'none'"
    assert directives["form-action"] == "'self'"
    (features,) = response.headers.getlist("Permissions-Policy")
    assert "camera=()" in features
    caching = response.headers.getlist("Cache-Control")
    assert caching == ["no-store"] if private else caching != ["no-store"]
    assert "Server" not in response.headers
    assert "Strict-Transport-Security" not in response.headers


@pytest.fixture
def site(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.get("/broken")
    @public
    def broken() -> str:
        raise ValueError("a view of the adopter's")

    @app.get("/cached")
    @public
    def cached() -> tuple[str, dict[str, str]]:
        return "of everybody", {"Cache-Control": "public, max-age=60"}

    @app.get("/greedy")
    @signed_in
    def greedy() -> tuple[str, dict[str, str]]:
        return "of one person", {"Cache-Control": "public, max-age=60"}

    return app


RESPONSES: dict[str, tuple[int, Callable[[Visitor], TestResponse]]] = {
    "200": (200, lambda visitor: visitor.get("/")),
    "200 with a form": (200, lambda visitor: visitor.get("/sign-in")),
    "200 signed out": (200, lambda visitor: visitor.get("/signed-out?reason=idle")),
    "HEAD": (200, lambda visitor: visitor.client.head("/", base_url=ORIGIN)),
    "OPTIONS": (200, lambda visitor: visitor.client.options("/", base_url=ORIGIN)),
    "201": (
        201,
        lambda visitor: visitor.post("/api/auth/challenges", json={"account": Wallet().account()}),
    ),
    "303 to sign in": (303, lambda visitor: visitor.get("/session")),
    "303 signed out": (303, lambda visitor: visitor.post("/sign-out")),
    "307 to the configured address": (
        307,
        lambda visitor: visitor.client.get("/", base_url="http://127.0.0.1:5000"),
    ),
    "400": (400, lambda visitor: visitor.post("/sign-in")),
    "400 as JSON": (400, lambda visitor: visitor.json("/api/auth/challenges", "POST", json={})),
    "400 for a spoofed host": (400, lambda visitor: visitor.client.get("/", base_url="http://evil.example")),
    "401": (401, lambda visitor: visitor.json("/api/auth/sessions/validate")),
    "403": (
        403,
        lambda visitor: visitor.post("/sign-in", headers={"Origin": "null", "Sec-Fetch-Site": "cross-site"}),
    ),
    "404": (404, lambda visitor: visitor.get("/nothing")),
    "404 as JSON": (404, lambda visitor: visitor.json("/nothing")),
    "404 for a file": (404, lambda visitor: visitor.get("/static/nothing")),
    "405": (405, lambda visitor: visitor.get("/api/auth/challenges")),
    "405 for TRACE": (405, lambda visitor: visitor.client.open("/", method="TRACE", base_url=ORIGIN)),
    "413": (413, lambda visitor: visitor.post("/sign-in", data={"a": "b" * 20_000})),
    "415": (415, lambda visitor: visitor.json("/api/auth/challenges", "POST", data="x")),
    "500": (500, lambda visitor: visitor.get("/broken")),
    "500 as JSON": (500, lambda visitor: visitor.json("/broken")),
}


@pytest.mark.parametrize(("status", "ask"), RESPONSES.values(), ids=RESPONSES)
def test_every_kind_of_response_has_every_header(
    site: Flask, status: int, ask: Callable[[Visitor], TestResponse]
) -> None:
    with ask(Visitor(site)) as response:
        assert response.status_code == status
        demand_headers(response)


def test_every_response_to_a_signed_in_user_has_the_headers(site: Flask, wallet: Wallet) -> None:
    visitor = Visitor(site)
    demand_headers(visitor.attempt(wallet))
    for path in ("/", "/session", "/sign-in", "/sign-out", "/api/auth/sessions/validate", "/nothing", "/broken"):
        demand_headers(visitor.get(path))
    demand_headers(visitor.sign_out())


def test_503_has_the_headers(make_app: Callable[..., Flask], tmp_path: Path) -> None:
    visitor = Visitor(make_app(SESSIONS_CORE_REDIS_URL=f"unix://{tmp_path}/nobody.sock"))
    visitor.session_id = "A" * 55
    for path in ("/session", "/api/auth/sessions/validate"):
        response = visitor.get(path)
        assert response.status_code == 503
        demand_headers(response)


def test_files_and_304_have_them_and_may_be_kept(site: Flask) -> None:
    visitor = Visitor(site)
    with visitor.get("/sessions_core/static/lib/clock.js") as response:
        assert response.status_code == 200
        demand_headers(response, private=False)
        tag = response.headers["ETag"]
    with visitor.get("/sessions_core/static/lib/clock.js", headers={"If-None-Match": tag}) as again:
        assert again.status_code == 304
        demand_headers(again, private=False)
    with visitor.get("/sessions_core/static/lib/clock.js", headers={"Range": "bytes=999999-"}) as beyond:
        assert beyond.status_code == 416
        demand_headers(beyond)


def test_shared_cache_keeps_no_session_page(site: Flask, wallet: Wallet) -> None:
    visitor = Visitor(site)
    assert visitor.get("/cached").headers["Cache-Control"] == "public, max-age=60"
    assert "Cookie" in visitor.get("/cached").headers["Vary"]
    visitor.sign_in(wallet)
    assert visitor.get("/cached").headers.getlist("Cache-Control") == ["no-store"]
    assert visitor.get("/greedy").headers.getlist("Cache-Control") == ["no-store"]


def test_hsts_only_where_people_come_by_https(make_app: Callable[..., Flask]) -> None:
    origin = "https://app.example.org"
    plain = origin.startswith("http://")
    client = make_app(SESSIONS_CORE_DEVELOPMENT=plain, SESSIONS_CORE_PUBLIC_ORIGIN=origin).test_client()
    for path in ("/", "/nothing", "/session", "/static/nothing"):
        response = client.get(path, base_url=origin)
        (policy,) = response.headers.getlist("Strict-Transport-Security")
        assert int(policy.removeprefix("max-age=").partition(";")[0]) >= 31_536_000


def test_hsts_covers_subdomains_only_if_the_site_says_so(make_app: Callable[..., Flask]) -> None:
    """Off by default: a subdomain without https could not be reached any more."""
    origin = "https://app.example.org"
    settings = {"SESSIONS_CORE_DEVELOPMENT": False, "SESSIONS_CORE_PUBLIC_ORIGIN": origin}
    for said, expected in (({}, False), ({"SESSIONS_CORE_HSTS_SUBDOMAINS": True}, True)):
        client = make_app(**settings, **said).test_client()
        (policy,) = client.get("/", base_url=origin).headers.getlist("Strict-Transport-Security")
        assert ("includeSubDomains" in [part.strip() for part in policy.split(";")]) is expected


def test_a_view_may_set_a_header_itself_and_it_comes_once(make_app: Callable[..., Flask]) -> None:
    app = make_app()

    @app.get("/framed")
    @public
    def framed() -> tuple[str, dict[str, str]]:
        return "", {"x-frame-options": "SAMEORIGIN", "content-security-policy": "default-src 'self'"}

    response = Visitor(app).get("/framed")
    assert response.headers.getlist("X-Frame-Options") == ["SAMEORIGIN"]
    assert response.headers.getlist("Content-Security-Policy") == ["default-src 'self'"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.fixture
def inline(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.get("/inline")
    @public
    def inline() -> str:
        return render_template_string("<script nonce='{{ csp_nonce() }}'></script> {{ csp_nonce() }}")

    return app


def test_an_inline_script_gets_a_nonce_of_its_response(inline: Flask) -> None:
    visitor = Visitor(inline)
    first, second = visitor.get("/inline"), visitor.get("/inline")
    nonces = [response.get_data(as_text=True).split()[-1] for response in (first, second)]
    assert nonces[0] != nonces[1]
    assert all(len(nonce) >= 22 for nonce in nonces)
    for response, nonce in zip((first, second), nonces, strict=True):
        (policy,) = response.headers.getlist("Content-Security-Policy")
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert directives["script-src"] == directives["style-src"] == f"'self' 'nonce-{nonce}'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_response_that_asked_for_no_nonce_has_none(inline: Flask) -> None:
    visitor = Visitor(inline)
    visitor.get("/inline")
    demand_headers(visitor.get("/"))


@pytest.mark.parametrize("url", ["/csp-reports", "https://reports.example.org/csp?site=1"])
def test_blocked_things_are_reported_where_the_setting_says(make_app: Callable[..., Flask], url: str) -> None:
    response = Visitor(make_app(SESSIONS_CORE_CSP_REPORT_URL=url)).get("/")
    (policy,) = response.headers.getlist("Content-Security-Policy")
    assert policy.endswith(f"; report-uri {url}; report-to csp")
    assert response.headers.getlist("Reporting-Endpoints") == [f'csp="{url}"']


def test_nothing_is_reported_unless_asked(app: Flask) -> None:
    response = Visitor(app).get("/")
    assert "report" not in response.headers["Content-Security-Policy"]
    assert "Reporting-Endpoints" not in response.headers


def test_responses_before_flask_have_the_headers(app: Flask) -> None:
    """A WSGI layer that an adopter puts inside ours, and an exception that escapes it."""
    from sessions_core.web.headers import ResponseHeaders

    def inner(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b""]

    seen: list[tuple[str, str]] = []
    services = app.extensions["sessions_core"]
    ResponseHeaders(inner, services.settings)({}, lambda _status, headers, _exc=None: seen.extend(headers))
    assert {name for name, _ in seen} >= {*EXPECTED, "Content-Security-Policy", "Cache-Control", "Content-Type"}


def test_the_pages_keep_to_the_policy(site: Flask, wallet: Wallet) -> None:
    """No inline script, no inline style, nothing from another host: what the CSP would block must not be there."""
    visitor = Visitor(site)
    pages = [visitor.get(path).get_data(as_text=True) for path in ("/", "/sign-in", "/signed-out", "/nothing")]
    visitor.sign_in(wallet)
    pages += [visitor.get(path).get_data(as_text=True) for path in ("/", "/sign-in", "/session", "/sign-out")]
    for page in pages:
        assert re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page) == []
        assert re.findall(r"<style\b|\sstyle=|\son[a-z]+=[\"']|javascript:", page) == []
        assert [url for url in re.findall(r'(?:src|<link[^>]*href)="([^"]+)"', page) if not url.startswith("/")] == []
