"""One id: in the answer's header, on the error page, in the envelope and in the log."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from sessions_core import public
from sessions_core.web import request_id

from ..actors import ORIGIN, Visitor

MADE = re.compile("[0-9a-f]{16}")
PROXYS = "7b0c2d5e-93f4-4f4e-9d0c-1f2a3b4c5d6e"


def ask(app: Flask, path: str = "/sign-in", **headers: str) -> TestResponse:
    return app.test_client().get(path, base_url=ORIGIN, headers=headers)


def ids(response: TestResponse) -> list[str]:
    return response.headers.getlist("X-Request-ID")


@pytest.mark.parametrize("path", ["/sign-in", "/livez", "/static/sessions/lib/http.js", "/nowhere", "/session"])
def test_every_answer_has_its_own_request_id(app: Flask, path: str) -> None:
    with ask(app, path) as one, ask(app, path) as another:  # closes the file
        (first,), (second,) = ids(one), ids(another)
    assert MADE.fullmatch(first)
    assert MADE.fullmatch(second)
    assert first != second


def test_refused_host_gets_a_request_id(app: Flask) -> None:
    (made,) = ids(app.test_client().get("/sign-in", base_url="http://evil.example"))
    assert MADE.fullmatch(made)


@pytest.mark.parametrize("given", [PROXYS, "a" * 8, "A.b_c-9" * 9])
def test_request_id_of_a_proxy_is_kept(app: Flask, given: str) -> None:
    answer = ask(app, "/nowhere", **{"X-Request-ID": given, "Accept": "application/json"})
    assert ids(answer) == [given]
    assert answer.get_json()["error"]["request_id"] == given


@pytest.mark.parametrize(
    "hostile",
    [
        *("", "short", "a" * 65, f"{PROXYS}, {PROXYS}", f"{PROXYS} ", "a\tb-c-d-e", "é" * 10),
        *("<script>alert(1)</script>", '"quoted-id"', "id=12345678", "${jndi:ldap}"),
    ],
)
def test_malformed_request_id_is_replaced(app: Flask, hostile: str) -> None:
    answer = ask(app, "/nowhere", **{"X-Request-ID": hostile})
    (made,) = ids(answer)
    assert MADE.fullmatch(made)
    assert f'data-testid="request-id">{made}<' in answer.get_data(as_text=True)


def test_the_header_the_page_and_the_log_agree(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    @app.get("/broken")
    @public
    def broken() -> str:
        raise ValueError("an error of ours")

    answer = ask(app, "/broken")
    (made,) = ids(answer)
    assert f'data-testid="request-id">{made}<' in answer.get_data(as_text=True)
    assert f"(request {made})" in caplog.text


def test_view_can_not_add_a_second_request_id(app: Flask) -> None:
    @app.get("/own")
    @public
    def own() -> tuple[str, dict[str, str]]:
        return request_id.current() or "", {"X-Request-Id": "another"}

    answer = ask(app, "/own")
    assert ids(answer) == [answer.get_data(as_text=True)]


def test_no_request_id_exists_outside_a_request(app: Flask) -> None:
    assert request_id.current() is None
    with app.app_context():
        assert request_id.current() is None
    with app.test_request_context("/"):
        made = request_id.current()
        assert made == request_id.current()
        assert MADE.fullmatch(made or "")


def test_next_request_has_another_request_id(visitor: Visitor) -> None:
    assert ids(visitor.get("/sign-in")) != ids(visitor.get("/sign-in"))
