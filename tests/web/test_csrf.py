"""CSRF tokens: over a rotation of the secret, for every method, after 404 and 405, and what a refusal says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, request, session
from flask_wtf import FlaskForm
from redis import Redis
from werkzeug.test import TestResponse
from wtforms import StringField

from sessions_core import events, public, signed_in

from ..actors import ORIGIN, Visitor, Wallet
from ..constants import ANOTHER, SECRET
from ..snapshot import refused, unchanged

UNSAFE = ["POST", "PUT", "PATCH", "DELETE", "PURGE", "PROPFIND", "MKCOL", "LOCK", "REPORT", "QUERY", "ANYTHING"]


@pytest.fixture
def site(make_app: Callable[..., Flask]) -> Flask:
    """An application that answers methods of WebDAV and of its own."""
    app = make_app()

    @app.route("/item", methods=[*UNSAFE, "GET"])
    @signed_in
    def item() -> str:
        return request.method

    @app.get("/only-get")
    @public
    def only_get() -> str:
        return "got"

    return app


@pytest.fixture
def user(site: Flask, wallet: Wallet) -> Visitor:
    user = Visitor(site)
    user.sign_in(wallet)
    return user


def send(user: Visitor, method: str, path: str, **headers: str) -> TestResponse:
    headers = {"Origin": ORIGIN, "Accept": "application/json"} | headers
    return user.client.open(path, method=method, base_url=ORIGIN, headers=headers)


def refusal(answer: TestResponse) -> tuple[int, str, str | None]:
    error = answer.get_json()["error"]
    return answer.status_code, error["code"], error.get("reason")


# -- A rotation of the secret --------------------------------------------------------------------------------------


def with_secrets(make_app: Callable[..., Flask], newest: str, *former: str) -> Flask:
    app = make_app(SECRET_KEY=newest, SECRET_KEY_FALLBACKS=list(former))

    class Note(FlaskForm):  # type: ignore[misc]  # flask_wtf is untyped
        text = StringField()

    @app.post("/note")
    @public(csrf=False)
    def note() -> tuple[str, int]:
        """A form of Flask-WTF that checks its token itself."""
        return ("noted", 200) if Note().validate() else ("refused", 400)

    return app


# What a process knows while `SECRET` gives way to `ANOTHER`, as docs/integrate.md has it: together or one by one.
ROTATIONS = {
    "restarted at once": ((SECRET,), (ANOTHER, SECRET)),
    "the new one is a fallback first": ((SECRET,), (SECRET, ANOTHER)),
    "swapped here, not yet there": ((SECRET, ANOTHER), (ANOTHER, SECRET)),
    "swapped there, not yet here": ((ANOTHER, SECRET), (SECRET, ANOTHER)),
    "the former one dropped there": ((ANOTHER, SECRET), (ANOTHER,)),
}


@pytest.mark.parametrize(("before", "after"), ROTATIONS.values(), ids=ROTATIONS)
def test_open_forms_survive_a_rotated_secret(
    make_app: Callable[..., Flask], wallet: Wallet, before: tuple[str, ...], after: tuple[str, ...]
) -> None:
    """The sign-out button, a form of an application, and a sign-in that is half done when the secret changes."""
    here, there = with_secrets(make_app, *before), with_secrets(make_app, *after)
    visitor, user = Visitor(here), Visitor(here)
    challenge = visitor.challenge(wallet.account())
    form = {"message": challenge["message"], "challenge": challenge["challenge"], "csrf_token": visitor.token()}
    form["signature"] = wallet.sign(form["message"])
    move(visitor, there)
    assert visitor.post("/sign-in", data=form).status_code == 303
    user.sign_in(wallet)
    token = user.token("/session")
    move(user, there)
    assert user.post("/note", data={"csrf_token": token, "text": "x"}).get_data(as_text=True) == "noted"
    assert user.json("/api/auth/sessions/keep-alive", "POST", headers={"X-CSRFToken": token}).status_code == 200
    assert user.post("/sign-out", data={"csrf_token": token}).status_code == 303
    assert not user.signed_in


def test_a_dropped_secret_signs_no_token(make_app: Callable[..., Flask]) -> None:
    visitor = Visitor(with_secrets(make_app, SECRET))
    token = visitor.token()
    for secrets, expected in (((ANOTHER, SECRET), 200), ((ANOTHER,), 400)):
        move(visitor, with_secrets(make_app, *secrets))
        assert visitor.post("/note", data={"csrf_token": token}).status_code == expected


def move(user: Visitor, app: Flask) -> None:
    """Let the next requests of a browser reach another process."""
    client = app.test_client()
    client._cookies = user.client._cookies
    user.app, user.client = app, client


# -- Every method, and nothing that is not there -------------------------------------------------------------------


@pytest.mark.parametrize("method", UNSAFE)
def test_every_unsafe_method_needs_the_token(
    user: Visitor, redis: Redis, happened: list[events.Event], method: str
) -> None:
    token = user.token("/session")
    with refused(redis, happened, "csrf_failed"):
        assert refusal(send(user, method, "/item")) == (400, "csrf_failed", "token_missing")
    with refused(redis, happened, "cross_site_request"):
        answer = send(user, method, "/item", **{"X-CSRFToken": token, "Origin": "https://evil.example"})
    assert refusal(answer)[:2] == (403, "cross_site_request")
    assert send(user, method, "/item", **{"X-CSRFToken": token}).get_data(as_text=True) == method


@pytest.mark.parametrize("method", [*UNSAFE, "TRACE"])
@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/static/nowhere", 405), ("/only-get", 405)])
def test_missing_route_is_404_or_405_before_the_csrf_check(
    user: Visitor, redis: Redis, method: str, path: str, status: int
) -> None:
    """Without token and from another site too: nothing can be changed there, and the answer should say why."""
    for headers in ({}, {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}):
        with unchanged(redis):
            answer = send(user, method, path, **headers)
        assert refusal(answer)[:2] == (status, {404: "not_found", 405: "method_not_allowed"}[status])
        assert ("Allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_safe_method_needs_no_token(user: Visitor, method: str) -> None:
    assert send(user, method, "/item").status_code == 200


# -- What a refusal says ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["x", "a.b.c", "\xe9", "a" * 5000])
def test_a_refusal_says_that_the_token_is_wrong(user: Visitor, token: str) -> None:
    page = user.post("/item", data={"csrf_token": token}, headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "That form has expired" in page.get_data(as_text=True)
    answer = user.post("/item", data={"csrf_token": token}, headers={"Accept": "application/json"})
    assert refusal(answer) == (400, "csrf_failed", "token_wrong")


@pytest.mark.parametrize("fields", [{}, {"csrf_token": ""}, {"number": "7"}], ids=str)
def test_a_refusal_says_that_the_token_is_missing(user: Visitor, fields: dict[str, str]) -> None:
    page = user.post("/item", data=fields, headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "sent without its security token" in page.get_data(as_text=True)
    answer = user.post("/item", data=fields, headers={"Accept": "application/json"})
    assert refusal(answer) == (400, "csrf_failed", "token_missing")


def test_a_refusal_says_that_cookies_are_missing(site: Flask, wallet: Wallet) -> None:
    """A browser that blocks cookies sends the token of the page and nothing else."""
    visitor = Visitor(site)
    token = visitor.token()
    visitor.client = site.test_client(use_cookies=False)
    form = {"csrf_token": token, "message": "", "challenge": "", "signature": ""}
    page = visitor.post("/sign-in", data=form, headers={"Accept": "text/html"})
    assert page.status_code == 400
    assert "sent no cookies" in page.get_data(as_text=True)
    answer = visitor.post("/sign-in", data=form, headers={"Accept": "application/json"})
    assert refusal(answer) == (400, "csrf_failed", "cookie_missing")


# -- Where the token may be, and what an application configures ----------------------------------------------------


@pytest.mark.parametrize("field", ["csrf_token", "login-csrf_token", "login_csrf_token"])
def test_a_form_with_a_prefix_brings_its_token(user: Visitor, field: str) -> None:
    assert user.post("/item", data={field: user.token("/session")}).status_code == 200


@pytest.mark.parametrize("header", ["X-CSRFToken", "X-CSRF-Token"])
def test_a_script_brings_the_token_in_a_header(user: Visitor, header: str) -> None:
    assert send(user, "POST", "/item", **{header: user.token("/session")}).status_code == 200


@pytest.mark.parametrize(
    "setting",
    [{"WTF_CSRF_METHODS": ["PUT"]}, {"WTF_CSRF_ENABLED": False}, {"WTF_CSRF_CHECK_DEFAULT": False}],
    ids=str,
)
def test_no_setting_of_flask_wtf_switches_the_check_off(
    make_app: Callable[..., Flask], wallet: Wallet, setting: dict[str, Any]
) -> None:
    user = Visitor(make_app(**setting))
    user.sign_in(wallet)
    assert user.post("/sign-out").status_code == 400
    assert user.signed_in
    assert user.sign_out().status_code == 303


def test_a_view_that_drops_the_secret_makes_no_error(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    """The secret belongs to the id of the session, so the server keeps it whatever a view does."""
    app = make_app()

    @app.get("/drop")
    @signed_in
    def drop() -> str:
        session.pop("csrf_token")
        return "dropped"

    user = Visitor(app)
    user.sign_in(wallet)
    token = user.token("/session")
    assert user.get("/drop").status_code == 200
    assert user.post("/sign-out", data={"csrf_token": token}).status_code == 303
    assert not user.signed_in
