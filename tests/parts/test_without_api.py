"""Without the part `api` the site works for browsers, and a bearer token is nobody's."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from sessions_core.errors import Misconfigured

from ..actors import Visitor, Wallet
from ..constants import VALIDATE
from .left_out import all_but, imported, without
from .walk import walk


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return without(make_app, "api")


def test_user_signs_in_and_out_and_no_link_is_dead(app: Flask) -> None:
    found = walk(app)
    assert (found.signed_in, found.signed_out, found.dead) == (True, True, [])


def test_bearer_token_is_ignored(app: Flask) -> None:
    answer = Visitor(app).json(VALIDATE, headers={"Authorization": "Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln"})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (401, "no_token")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_cookie_counts_beside_a_bearer_token(app: Flask) -> None:
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    assert visitor.json(VALIDATE, headers={"Authorization": "Bearer x"}).status_code == 200


def test_script_of_a_page_signs_out(app: Flask) -> None:
    visitor = Visitor(app)
    visitor.sign_in(Wallet())
    token = visitor.token("/session")
    answer = visitor.json("/api/auth/sessions/logout", "POST", headers={"X-CSRFToken": token})
    assert (answer.status_code, answer.get_json()["data"]) == (200, {"signed_out": True})
    assert not visitor.signed_in


def test_no_route_of_the_part_is_left(app: Flask) -> None:
    visitor = Visitor(app)
    for path in ("/.well-known/jwks.json", "/api/openapi.json"):
        assert visitor.get(path).status_code == 404
    for path in ("/api/auth/sessions/refresh", "/api/auth/sessions/token"):
        assert visitor.json(path, "POST", json={}).status_code == 404
    assert {"sessions_api", "sessions_api_json"} & set(app.blueprints) == set()


def test_page_of_another_origin_is_refused(app: Flask) -> None:
    headers = {"Origin": "https://shop.example.org", "Sec-Fetch-Site": "cross-site"}
    answer = Visitor(app).json("/api/auth/challenges", "POST", json={}, headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "cross_site_request")
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_settings_of_the_part_are_unknown(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(
        Misconfigured, match="SESSIONS_CORE_TOKEN_SECONDS is a setting of the part 'api', which is not loaded"
    ):
        make_app({"parts": all_but("api")}, SESSIONS_CORE_TOKEN_SECONDS=60)


def test_its_library_is_not_imported(redis_url: str) -> None:
    assert {name for name in imported(redis_url, all_but("api")) if name.partition(".")[0] == "joserfc"} == set()
