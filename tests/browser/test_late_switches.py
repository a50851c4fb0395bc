"""Wallets that answer "switched" before they are on the other network, and say nothing when they are."""

from __future__ import annotations

import pytest

from .pages import Browser, ConnectPanel
from .wallet_in_page import MakeWallet, WalletInPage


@pytest.fixture
def wallet(make_wallet: MakeWallet) -> WalletInPage:
    return make_wallet(chain=5)


@pytest.fixture
def panel(browser: Browser, wallet: WalletInPage) -> ConnectPanel:
    """Where the person has pressed "Switch to Ethereum Mainnet"."""
    panel = ConnectPanel(browser)
    panel.connect(wallet, until="wrong_network")
    browser.all("switch-network")[0].click()
    return panel


def test_a_network_that_comes_late_is_waited_for(panel: ConnectPanel, wallet: WalletInPage) -> None:
    wallet.approve_switch_late(400)
    panel.browser.wait(lambda: panel.state != "switching", "it is still switching")
    panel.wait_for("ready_to_sign")
    assert "Chain ID: 1" in panel.preview


def test_missing_network_switch_is_explained(panel: ConnectPanel, wallet: WalletInPage) -> None:
    wallet.approve_switch_late(-1)
    panel.wait_for("switch_unseen")
    assert panel.spoken.startswith("“Test Wallet” said that it switched, but it is still on the network it was on")
    assert "Ethereum Mainnet" in panel.error
    # Switched by hand in the wallet: with an event the page goes on by itself.
    wallet.switch_chain(1)
    panel.wait_for("ready_to_sign")


def test_a_network_that_comes_too_late_is_asked_for(panel: ConnectPanel, wallet: WalletInPage) -> None:
    wallet.approve_switch_late(-1)
    panel.wait_for("switch_unseen")
    panel.browser.run("window.walletsInPage[arguments[0]].chainId = '0x1'", wallet.key)
    panel.browser.click("recheck")
    panel.wait_for("ready_to_sign")


def test_third_network_is_named_as_the_wrong_one(panel: ConnectPanel, wallet: WalletInPage) -> None:
    """The wallet did switch, to one that the site does not accept either."""
    panel.browser.run("window.walletsInPage[arguments[0]].chainId = '0x6'", wallet.key)
    wallet.approve_switch_late(-1)
    panel.wait_for("wrong_network")
    assert "(number 6)" in panel.error


def test_cancel_ends_the_wait_for_a_network(panel: ConnectPanel, wallet: WalletInPage) -> None:
    wallet.approve_switch_late(-1)
    panel.cancel()
    panel.wait_for("wallet_list")
    asked = wallet.calls.count("eth_chainId")
    panel.row(wallet).click()
    panel.wait_for("wrong_network")
    assert wallet.calls.count("eth_chainId") == asked + 1
