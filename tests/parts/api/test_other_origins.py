"""Pages on other origins: which of them may ask and read with a session token, and that none may use cookies."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask, Response, jsonify
from redis import Redis
from werkzeug.test import TestResponse

from sessions_core import events, public, signed_in
from sessions_core.errors import Misconfigured

from ...actors import BROWSER_COOKIE, ORIGIN, SESSION_COOKIE, ApiClient, Visitor, Wallet
from ...snapshot import refused

SHOP = "https://shop.example.net"
STRANGERS = [
    *("https://evil.example", "null", "", "*", "https://shop.example.net.evil.example", "http://shop.example.net"),
    *("https://shop.example.net:8443", "https://SHOP.example.net", "https://xshop.example.net", f"{SHOP}, {SHOP}"),
]
ROUTES = ["/api/auth/challenges", "/api/auth/sessions", "/api/auth/sessions/validate", "/orders"]
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app(SESSIONS_CORE_ALLOWED_ORIGINS=[SHOP])

    @app.route("/orders", methods=["GET", "POST"])
    @signed_in
    def orders() -> Response:
        return jsonify(ordered=True)

    @app.post("/hook")
    @public(csrf=False)
    def hook() -> Response:
        return jsonify(heard=True)

    @app.get("/open")
    @public
    def open_() -> Response:
        return Response("open", headers={ALLOWED: "*", "Vary": "Accept"})

    return app


@pytest.fixture
def signed(app: Flask, wallet: Wallet) -> ApiClient:
    client = ApiClient(app)
    client.sign_in(wallet)
    return client


def elsewhere(origin: str = SHOP) -> dict[str, str]:
    return {"Origin": origin, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}


def preflight(app: Flask, path: str, origin: str) -> TestResponse:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    return app.test_client().options(path, base_url=ORIGIN, headers=elsewhere(origin) | asked)


@pytest.mark.parametrize("path", ROUTES)
def test_preflight_of_an_allowed_origin_is_answered(app: Flask, path: str) -> None:
    answer = preflight(app, path, SHOP)
    assert answer.status_code == 200
    assert answer.headers[ALLOWED] == SHOP
    assert answer.headers["Access-Control-Allow-Methods"] == answer.headers["Allow"]
    assert {"Authorization", "Content-Type"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Set-Cookie" not in answer.headers
    assert "Origin" in answer.headers["Vary"]


@pytest.mark.parametrize("origin", STRANGERS, ids=ascii)
def test_no_other_origin_is_ever_named(app: Flask, signed: ApiClient, origin: str) -> None:
    answers = [preflight(app, path, origin) for path in ROUTES]
    answers += [signed.get("/orders", headers=elsewhere(origin)), signed.get("/nowhere", headers=elsewhere(origin))]
    for answer in answers:
        assert [name for name, _ in answer.headers if name.startswith("Access-Control")] == []
        assert "Origin" in answer.headers["Vary"], "a cache must not hand this answer to an allowed origin"


def test_token_of_an_allowed_origin_works_everywhere(app: Flask, wallet: Wallet) -> None:
    """Text, session, own route, refresh, sign-out: all without a cookie, each answer readable."""
    shop = ApiClient(app)
    text = shop.post("/api/auth/challenges", headers=elsewhere(), json={"account": wallet.account()})
    data = text.get_json()["data"]
    sent = {"message": data["message"], "challenge": data["challenge"]}
    signature = wallet.sign(data["message"])
    created = shop.post("/api/auth/sessions", bearer=signature, headers=elsewhere(), json=sent)
    shop.keep(created, 201)
    ordered = shop.post("/orders", headers=elsewhere())
    assert ordered.get_json() == {"ordered": True}
    json = {"refresh_token": shop.refresh_token}
    refreshed = shop.post("/api/auth/sessions/refresh", bearer="", headers=elsewhere(), json=json)
    shop.keep(refreshed)
    ended = shop.post("/api/auth/sessions/logout", headers=elsewhere(), json={})
    assert ended.status_code == 200
    for answer in (text, created, ordered, refreshed, ended):
        assert answer.headers[ALLOWED] == SHOP
        assert "Access-Control-Allow-Credentials" not in answer.headers
        cookies = [each for each in answer.headers.getlist("Set-Cookie") if "Max-Age=0" not in each]
        assert not [each for each in cookies if each.startswith((SESSION_COOKIE, BROWSER_COOKIE))]
    refusal = shop.get("/orders", headers=elsewhere())
    assert (refusal.status_code, refusal.headers[ALLOWED]) == (401, SHOP)


@pytest.mark.parametrize("path", ["/orders", "/hook", "/api/auth/challenges", "/api/auth/sessions/logout"])
def test_cookies_of_an_allowed_origin_are_refused(
    app: Flask, person: Visitor, redis: Redis, happened: list[events.Event], path: str
) -> None:
    """`credentials: "include"`: a sibling host's page would have them sent in spite of SameSite=Lax."""
    token = person.token("/session")
    with refused(redis, happened, "cross_site_request"):
        answer = person.json(path, "POST", headers=elsewhere() | {"X-CSRFToken": token}, json={})
    assert answer.status_code == 403
    assert 'credentials: "omit"' in answer.get_json()["error"]["cause"]
    assert person.signed_in
    assert "Access-Control-Allow-Credentials" not in person.get("/orders", headers=elsewhere()).headers


def test_allowed_origin_without_a_token_gets_no_further(app: Flask, redis: Redis) -> None:
    client = ApiClient(app)
    answer = client.post("/orders", headers=elsewhere())
    assert (answer.status_code, answer.headers[ALLOWED]) == (401, SHOP)
    page = client.post("/sign-in", headers=elsewhere(), data={"message": "x"})
    assert page.status_code == 400


def test_answer_with_its_own_cors_is_left_alone(signed: ApiClient) -> None:
    """Flask-CORS, or a view, has said who may read it."""
    answer = signed.get("/open", headers=elsewhere())
    assert answer.headers.getlist(ALLOWED) == ["*"]
    assert answer.headers["Vary"] == "Accept, Origin"


def test_without_the_setting_nothing_is_added(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    client = ApiClient(make_app())
    client.sign_in(wallet)
    answer = client.get("/api/auth/sessions/validate", headers=elsewhere())
    assert answer.status_code == 200
    assert ALLOWED not in answer.headers
    assert "Origin" not in answer.headers.get("Vary", "")


@pytest.mark.parametrize(
    "origin",
    ["*", "null", "", "shop.example.net", "https://shop.example.net/", "https://Shop.example.net", "http://a.b"],
)
def test_origin_that_is_none_is_refused_at_start(make_app: Callable[..., Flask], origin: str) -> None:
    with pytest.raises(Misconfigured, match="SESSIONS_CORE_ALLOWED_ORIGINS"):
        make_app(SESSIONS_CORE_ALLOWED_ORIGINS=[origin])
