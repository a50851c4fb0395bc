"""An application without the part devices: no list of sessions, no notices, and nothing kept of where users are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from sessions_core import part
from sessions_core.web.services import EXTENSION, Services

from ..actors import Visitor, Wallet
from .walk import walk

# Roles show an account's sessions in the table of this part.
LEFT = [name for name in part.available() if name not in ("devices", "roles")]


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app({"parts": LEFT})


def test_pages_render_without_dead_links(app: Flask) -> None:
    found = walk(app)
    assert (found.signed_in, found.signed_out, found.dead) == (True, True, [])
    assert not [path for path in found.pages if path.startswith("/sessions") and "sessions_core" not in path]


def test_second_sign_in_is_told_to_no_session(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    Visitor(app).sign_in(wallet)
    state = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert "sign_ins_elsewhere" not in state
    assert 'data-testid="elsewhere"' not in visitor.get("/session").get_data(as_text=True)


def test_list_of_sessions_is_not_there(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    assert visitor.get("/sessions").status_code == 404
    assert visitor.json("/api/auth/sessions").status_code in (404, 405)
    assert 'data-testid="nav-devices"' not in visitor.get("/session").get_data(as_text=True)


def test_session_keeps_no_device_but_command_lists_it(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    services: Services = app.extensions[EXTENSION]
    [live] = services.repository.living(wallet.account())
    assert "devices" not in live.record.sections
    ran = app.test_cli_runner().invoke(args=["sessions", "list"])
    assert ran.exit_code == 0
    assert live.record.handle in ran.output


def test_session_can_still_be_extended_with_a_signature(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    answer = visitor.post("/session/extend", data={"csrf_token": visitor.token()})
    assert answer.status_code == 303
    assert "/confirm?" in answer.headers["Location"]
    assert visitor.get(answer.headers["Location"]).status_code == 200
