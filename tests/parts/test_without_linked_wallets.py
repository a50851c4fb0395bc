"""An application without the part linked wallets: each account is a user by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from sessions_core import part
from sessions_core.sign_in.user import derived_user_id

from ..actors import Visitor, Wallet
from .walk import walk

LEFT = [name for name in part.available() if name != "linked_wallets"]


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app({"parts": LEFT})


def test_pages_render_without_dead_links(app: Flask) -> None:
    found = walk(app)
    assert (found.signed_in, found.signed_out, found.dead) == (True, True, [])
    assert "/sessions" in found.pages
    assert not [path for path in found.pages if path.startswith("/session/wallets")]


def test_user_is_the_account_alone(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    state = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert (state["user_id"], state["accounts"]) == (derived_user_id(wallet.account()), [wallet.account()])
    assert visitor.get("/session/wallets/link").status_code == 404
    assert 'data-testid="wallets"' not in visitor.get("/session").get_data(as_text=True)


def test_challenge_to_link_is_refused(visitor: Visitor, wallet: Wallet) -> None:
    visitor.sign_in(wallet)
    body = {"account": Wallet().account(), "purpose": "link"}
    answer = visitor.json("/api/auth/challenges", "POST", json=body)
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "body_malformed")


def test_own_other_session_can_be_ended(app: Flask, visitor: Visitor, wallet: Wallet) -> None:
    """Devices lists and ends the sessions of the one account."""
    visitor.sign_in(wallet)
    other = Visitor(app)
    other.sign_in(wallet)
    sessions = visitor.json("/api/auth/sessions").get_json()["data"]["sessions"]
    assert [each["current"] for each in sessions] == [True, False]
    handle = sessions[1]["session_id"]
    assert visitor.send("DELETE", f"/api/auth/sessions/{handle}").status_code == 200
    assert not other.signed_in
