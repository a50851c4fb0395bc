"""Who gets a page and who gets JSON when something is refused; and whose words an error page shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, abort, request
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge

from sessions_core import WalletSessions, public, requires, signed_in
from sessions_core.web.services import EXTENSION, Services

from ..actors import ORIGIN, Visitor, Wallet

PROXYS_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm94eSJ9.c2lnbmF0dXJl"  # an ID token that oauth2-proxy passes on
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

NAVIGATION = {"Accept": BROWSER, "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
SCRIPTS = {
    "fetch": {"Accept": "*/*", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
    "axios": {"Accept": "application/json, text/plain, */*", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
    "axios in an old browser": {"Accept": "application/json, text/plain, */*"},
    "jQuery in an old browser": {"Accept": "*/*", "X-Requested-With": "XMLHttpRequest"},
    "a client with a token": {"Accept": "*/*", "Authorization": f"Bearer {PROXYS_TOKEN}"},
}
PAGES = {
    "a link": NAVIGATION,
    "a link behind oauth2-proxy": NAVIGATION | {"Authorization": f"Bearer {PROXYS_TOKEN}"},
    "a link in an old browser": {"Accept": BROWSER},
    "Turbo": {"Accept": "text/vnd.turbo-stream.html, text/html", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"},
    "htmx": {"Accept": "text/html, */*", "HX-Request": "true", "Sec-Fetch-Dest": "empty"},
    "no word about it": {},
}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.route("/items", methods=["GET", "POST"])
    @signed_in
    def items() -> str:
        return "saved"

    @app.get("/office")
    @requires(role="admin")
    def office() -> str:
        return "open"

    @app.get("/stock")
    @public
    def stock() -> str:
        abort(409, "Only 2 left in <stock>")

    return app


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("headers", SCRIPTS.values(), ids=SCRIPTS)
def test_script_gets_401_json_when_signed_out(visitor: Visitor, headers: dict[str, str], method: str) -> None:
    """A redirect would end in the 200 of the sign-in page, and the POST would look saved."""
    send = visitor.get if method == "GET" else visitor.post
    answer = send("/items", headers=headers)
    assert (answer.status_code, answer.mimetype) == (401, "application/json")
    assert answer.get_json()["error"]["code"] in ("no_token", "token_invalid")


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES)
def test_person_is_sent_to_sign_in_and_back(visitor: Visitor, headers: dict[str, str]) -> None:
    answer = visitor.get("/items", headers=headers)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=/items")


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES)
def test_missing_page_is_a_page_for_people(visitor: Visitor, headers: dict[str, str]) -> None:
    answer = visitor.get("/nothing", headers=headers)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")


@pytest.mark.parametrize("headers", list(SCRIPTS.values())[:4], ids=list(SCRIPTS)[:4])
def test_script_gets_403_json_with_the_missing_role(app: Flask, person: Visitor, headers: dict[str, str]) -> None:
    answer = person.get("/office", headers=headers)
    assert (answer.status_code, answer.get_json()["error"]["missing"]) == (403, "admin")


def test_token_of_a_proxy_does_not_disturb_a_session(app: Flask, person: Visitor) -> None:
    headers = NAVIGATION | {"Authorization": f"Bearer {PROXYS_TOKEN}"}
    assert person.get("/items", headers=headers).status_code == 200
    token = person.token("/session")
    assert person.post("/sign-out", headers=headers, data={"csrf_token": token}).status_code == 303
    answer = person.json("/api/auth/sessions/validate", headers={"Authorization": f"Bearer {PROXYS_TOKEN}"})
    assert answer.status_code == 401


# -- Words -----------------------------------------------------------------------------------------------------


def test_words_of_an_abort_are_shown(app: Flask, visitor: Visitor) -> None:
    page = visitor.get("/stock").get_data(as_text=True)
    assert "Only 2 left in &lt;stock&gt;" in page
    assert visitor.json("/stock").get_json()["error"]["message"] == "Only 2 left in <stock>"


def test_handler_of_the_app_is_kept(overrides: dict[str, Any], redis: Any) -> None:
    app = Flask("own")
    app.config.update(overrides)

    @app.errorhandler(HTTPException)
    def own(error: HTTPException) -> tuple[str, int]:
        return f"our words for {error.code}", error.code or 500

    WalletSessions(app)

    @app.get("/members")
    @signed_in
    def members() -> str:
        return "members"

    visitor = Visitor(app)
    assert visitor.get("/nothing").text == "our words for 404"
    assert visitor.json("/members").get_json()["error"]["code"] == "no_token", "our refusals are ours"
    answer = app.test_client().get("/", base_url="http://evil.example")
    assert (answer.status_code, "evil.example" in answer.text) == (400, False)


@pytest.mark.parametrize("kind", [Exception, 404, NotFound], ids=str)
@pytest.mark.parametrize("when", ["before", "after"])
def test_every_kind_of_handler_is_kept(overrides: dict[str, Any], redis: Any, kind: Any, when: str) -> None:
    """Flask would look for one of HTTPException first, so ours must not hide the application's."""
    app = Flask("own")
    app.config.update(overrides)

    def own(error: Exception) -> tuple[str, int]:
        return f"our words for {type(error).__name__}", 404

    if when == "before":
        app.register_error_handler(kind, own)
    WalletSessions(app)
    if when == "after":
        app.register_error_handler(kind, own)

    @app.get("/members")
    @signed_in
    def members() -> str:
        return "members"

    visitor = Visitor(app)
    assert visitor.get("/nothing").text == "our words for NotFound"
    assert visitor.json("/members").get_json()["error"]["code"] == "no_token", "our refusals are ours"


def test_limit_in_the_error_is_the_one_that_held(make_app: Callable[..., Flask], visitor: Visitor) -> None:
    app = make_app(MAX_CONTENT_LENGTH=3 * 2**20)

    @app.post("/upload")
    @public(csrf=False)
    def upload() -> str:
        return str(len(request.get_data()))

    visitor = Visitor(app)
    answer = visitor.json("/upload", "POST", data=b"x" * (4 * 2**20))
    assert answer.status_code == 413
    assert "at most 3.0 MiB" in answer.get_json()["error"]["message"]


def test_abort_413_without_a_limit_names_none(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    services: Services = app.extensions[EXTENSION]
    assert services.settings.development
    with app.test_request_context("/", base_url=ORIGIN):
        answer = app.make_response(app.handle_user_exception(RequestEntityTooLarge()))
    assert answer.status_code == 413
    assert "16 kB" not in answer.get_data(as_text=True)
