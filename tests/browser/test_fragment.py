"""The place in a page that somebody came for, `#part2`, comes back after signing in, whatever happens on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from flask import Flask

from sessions_core import fresh_required, signed_in
from sessions_core.web.services import Services

from ..time_machine import TimeMachine
from .conftest import account_of
from .pages import Browser, ConfirmPanel, ConnectPanel
from .wallet_in_page import WalletInPage


@pytest.fixture
def overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    return overrides | {"SESSIONS_CORE_ABSOLUTE_SECONDS": 2400}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """The application, with pages that have parts."""
    app = make_app()

    @app.get("/docs")
    @signed_in
    def docs() -> str:
        return "<title>Docs</title><h1>Docs</h1><h2 id='part2'>Part 2</h2>"

    @app.get("/secret")
    @fresh_required(60, "write:therapy_notes")
    def secret() -> str:
        return "<title>Secret</title><h1>Secret</h1>"

    return app


def sign_in(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.choose(wallet)
    if not wallet.connected:
        wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()


def arrive(browser: Browser, path: str) -> None:
    browser.wait(lambda: browser.path == path, lambda: f"at {browser.path}, not at {path}")


def test_a_fragment_comes_back_after_the_sign_in(browser: Browser, panel: ConnectPanel, wallet: WalletInPage) -> None:
    browser.open("/docs?page=3#part2")
    arrive(browser, "/sign-in?next=/docs?page%3D3#part2")
    sign_in(panel, wallet)
    arrive(browser, "/docs?page=3#part2")


def test_a_fragment_outlives_a_refusal_and_a_reload(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    browser.open("/docs#part2")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign(key=Account.create())
    panel.wait_for("bad_signature")
    panel.retry()
    panel.wait_for("ready_to_sign")
    # Updated under the page: the button loads this page again, with what it was opened for.
    wallet.cut_off()
    panel.sign()
    panel.wait_for("wallet_stale")
    browser.follow("reload-page")
    sign_in(panel, wallet)
    arrive(browser, "/docs#part2")


def test_a_reload_at_the_same_address_is_one(browser: Browser, panel: ConnectPanel) -> None:
    """An address that differs in nothing only scrolls."""
    browser.open("/docs#part2")
    panel.wait_for("no_wallet")
    browser.follow("reload")
    arrive(browser, "/sign-in?next=/docs#part2")


def test_a_fragment_comes_back_after_the_session_ended(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, services: Services
) -> None:
    browser.enter(wallet)
    browser.open("/session#wallets")
    browser.wait_for_session("active")
    services.lifecycle.revoke_account(account_of(wallet))
    browser.look_again()
    browser.arrive_at("/signed-out")
    browser.follow("sign-in-again")
    arrive(browser, "/sign-in?next=/session#wallets")
    sign_in(panel, wallet)
    arrive(browser, "/session#wallets")


def test_a_fragment_comes_back_after_the_warning(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    browser.enter(wallet)
    browser.open("/session#wallets")
    browser.wait_for_session("active")
    pass_time(1500)
    browser.driver.refresh()
    browser.wait_for_session("active")
    pass_time(650)
    browser.look_again()
    browser.see("timeout-dialog")
    browser.follow("timeout-again")
    arrive(browser, "/sign-in?again=1&next=/session#wallets")
    sign_in(panel, wallet)
    arrive(browser, "/session#wallets")


def test_a_fragment_comes_back_when_signed_in_elsewhere(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    """Another tab signed in: "Continue" leads to where this one was going."""
    browser.open("/docs#part2")
    browser.take_cookie(wallet)
    browser.driver.refresh()
    panel.wait_for("already_signed_in")
    browser.follow("continue")
    arrive(browser, "/docs#part2")


def test_a_fragment_comes_back_after_a_step_up(
    browser: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    browser.enter(wallet)
    pass_time(301)
    browser.open("/secret#part2")
    panel = ConfirmPanel(browser)
    panel.arrive("write:therapy_notes")
    panel.confirm(wallet)
    arrive(browser, "/secret#part2")


HOSTILE = (
    "//evil.example",
    "\\evil.example",
    "@evil.example/",
    "?next=//evil.example",
    "&next=//evil.example",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "%0d%0aLocation:%20https://evil.example",
    "#" * 50,
    "a" * 20_000,
)


@pytest.mark.parametrize("fragment", HOSTILE, ids=lambda fragment: ascii(fragment[:20]))
def test_a_hostile_fragment_changes_nothing_else(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, fragment: str
) -> None:
    browser.open("/docs#" + fragment)
    assert panel.hidden_fields["next"] == "/docs"
    sign_in(panel, wallet)
    browser.wait(lambda: browser.path.startswith("/docs#"), lambda: f"at {browser.path}")
    assert browser.run("return location.origin + location.pathname + location.search") == browser.origin + "/docs"
