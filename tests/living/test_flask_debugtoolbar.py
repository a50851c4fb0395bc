"""Flask-DebugToolbar, which adds a script to every page."""

from __future__ import annotations

import re

from flask import Flask, Response
from flask_debugtoolbar import DebugToolbarExtension

from sessions_core import sessionless, signed_in
from sessions_core.testing import TestWallet, sign_in


def allow_inline(response: Response) -> Response:
    """The toolbar's script is inline, and its jQuery writes markup: in development alone, pages may have that."""
    response.headers.setdefault("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
    return response


def add(app: Flask) -> None:
    app.debug = True  # as it is in development: the toolbar is for that
    DebugToolbarExtension(app)
    app.after_request(allow_inline)
    app.add_url_rule("/members", "members", signed_in(lambda: "<html><body>members</body></html>"))


SETTINGS = {"DEBUG_TB_ENABLED": True, "DEBUG_TB_INTERCEPT_REDIRECTS": False}
ROUTES = {"debugtoolbar.*": sessionless, "_debug_toolbar.*": sessionless}


def test_toolbar_is_on_pages_of_the_app(assemble) -> None:
    client = assemble(add, SETTINGS, routes=ROUTES).test_client()
    sign_in(client, TestWallet())
    answer = client.get("/members")
    assert answer.headers.getlist("Content-Security-Policy") == ["default-src 'self' 'unsafe-inline'"]
    page = answer.text
    assert "members" in page
    files = re.findall(r'(?:src|href)="(/_debug_toolbar/static/[^"?]+\.(?:js|css))', page)
    assert files
    for file in files:
        with client.get(file) as answer:
            assert answer.status_code == 200


def test_sign_in_page_works_below_the_toolbar(assemble) -> None:
    client = assemble(add, SETTINGS, routes=ROUTES).test_client()
    assert client.get("/sign-in").status_code == 200
