"""An application without the part roles: all accounts are members, unless the application gives roles itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from sessions_core import part, requires
from sessions_core.web.services import EXTENSION

from ..actors import Visitor, Wallet
from .walk import walk

LEFT = [name for name in part.available() if name != "roles"]


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app({"parts": LEFT})


def test_pages_render_without_dead_links(app: Flask) -> None:
    found = walk(app)
    assert (found.signed_in, found.signed_out, found.dead) == (True, True, [])
    assert not [path for path in found.pages if path.startswith("/admin")]


def test_account_is_a_member_with_all_it_may_do(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    state = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert state["role"] == "member"
    assert {"transact", "read:profile"} <= set(state["permissions"])
    assert not {"professional_id", "verification_level"} & state.keys()
    assert visitor.get("/admin").status_code == 404


def test_there_is_no_professional_session(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    assert list(app.extensions[EXTENSION].policy.types) == ["standard", "anonymous"]
    body = {"account": wallet.account(), "session_type": "professional"}
    answer = visitor.json("/api/auth/challenges", "POST", json=body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (403, "permission_denied")


def test_role_for_of_the_application_still_decides(make_app: Callable[..., Flask], wallet: Wallet) -> None:
    roles = {wallet.account(): "admin"}
    app = make_app({"parts": LEFT, "role_for": lambda account: roles.get(str(account), "member")})

    @app.get("/office")
    @requires(role="admin")
    def office() -> str:
        return "open"

    visitor, stranger = Visitor(app), Visitor(app)
    visitor.sign_in(wallet)
    stranger.sign_in(Wallet())
    assert visitor.get("/office").get_data(as_text=True) == "open"
    assert stranger.json("/office").status_code == 403
    roles.clear()
    assert visitor.json("/office").status_code == 403


def test_command_roles_is_not_there(app: Flask) -> None:
    assert "roles" not in app.cli.commands
    assert app.test_cli_runner().invoke(args=["sessions", "list"]).exit_code == 0
