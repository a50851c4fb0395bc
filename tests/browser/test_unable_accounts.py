"""Accounts that can't sign a message, on some hardware or only watched: the page says so, and leads to another."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from eth_account import Account

from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .families_in_page import Put, Solana
from .pages import Browser, ConnectPanel
from .step_up import start_to_end
from .wallet_in_page import MakeWallet

REFUSALS: dict[str, dict[str, Any]] = {
    "declined at once": {"code": 4001, "message": "User rejected the request."},
    "hardware": {"code": -32603, "message": "Message signing is not supported on hardware wallets"},
    "read-only": {"code": 4100, "message": "This is a read-only account"},
}


@pytest.fixture
def put(put: Put) -> Callable[..., Solana]:
    return partial(put, Solana)


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_an_account_that_can_not_sign_is_named(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet, refusal: dict[str, Any]
) -> None:
    wallet = make_wallet(quirks={"personal_sign": {"error": refusal}})
    panel.connect(wallet)
    panel.sign()
    panel.wait_for("account_unable")
    assert "sign messages here" in panel.error
    assert "Choose another account in the wallet" in panel.error
    assert not browser.shown("sign-button")
    assert str(refusal["code"]) in str(browser.see("technical").get_attribute("textContent"))
    # The wallet asks which account to share, instead of answering with the same one.
    panel.retry()
    wallet.approve_another_account([Account.create()])
    panel.wait_for("ready_to_sign")


def test_a_read_only_account_is_not_called_locked(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    wallet = make_wallet(quirks={"eth_requestAccounts": {"error": REFUSALS["read-only"]}})
    panel.open()
    panel.choose(wallet)
    panel.wait_for("account_unable")
    assert "locked" not in panel.spoken.replace("unlocked", "")


def test_a_solana_account_without_messages_is_named(panel: ConnectPanel, put: Put) -> None:
    """The wallet can sign messages, and says of this account that it can't: it did share one."""
    wallet = put(features=["solana:signAndSendTransaction"])
    panel.connect(wallet, until="account_unable")


def test_a_solana_wallet_that_declines_at_once_is_read(panel: ConnectPanel, put: Put) -> None:
    wallet = put(refuses=REFUSALS["declined at once"])
    panel.connect(wallet)
    panel.sign()
    panel.wait_for("account_unable")


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_an_account_that_can_not_confirm_is_named(
    browser: Browser, make_wallet: MakeWallet, elsewhere: Elsewhere, pass_time: TimeMachine, refusal: dict[str, Any]
) -> None:
    wallet = make_wallet(quirks={"personal_sign": {"error": refusal}})
    panel = start_to_end(browser, wallet, elsewhere, pass_time)
    panel.wait_for("failed", "unable")
    assert "sign messages here" in panel.error
    assert "Nothing was changed" in panel.error
