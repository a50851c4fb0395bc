"""An extension that is updated under the page never answers it again: the page says so, and offers to reload."""

from __future__ import annotations

import pytest

from ..time_machine import TimeMachine
from .clocks_in_page import HURRY
from .conftest import Elsewhere
from .pages import FIREFOX, Browser, ConnectPanel
from .step_up import ask_to_end
from .wallet_in_page import MakeWallet, WalletInPage


def start_again(panel: ConnectPanel, wallet: WalletInPage) -> None:
    """Follow the button: in the new page the wallet is well."""
    panel.browser.follow("reload-page")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_an_updated_wallet_asks_for_a_reload_at_connect(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.row(wallet)
    wallet.cut_off()
    panel.choose(wallet)
    panel.wait_for("wallet_stale")
    assert panel.spoken.startswith("“Test Wallet” was probably updated")
    start_again(panel, wallet)


def test_an_updated_wallet_asks_for_a_reload_at_signing(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    wallet.cut_off()
    panel.sign()
    panel.wait_for("wallet_stale")
    assert not panel.browser.shown("sign-button")
    wallet.connected = False
    wallet.install()
    start_again(panel, wallet)


def test_a_silent_wallet_is_not_prepared_for_ever(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    """Nobody is asked for the network, so no person keeps the page waiting."""
    wallet = make_wallet(deaf=("eth_chainId",))
    with panel.browser.before_scripts(HURRY):
        panel.connect(wallet, until="wallet_stale")
    assert panel.browser.shown("reload-page")


@pytest.mark.parametrize("method", ["eth_requestAccounts", "wallet_switchEthereumChain", "personal_sign"])
def test_a_slow_wallet_is_offered_a_reload_and_waited_for(
    panel: ConnectPanel, make_wallet: MakeWallet, method: str
) -> None:
    """A person may be looking for the password: the wallet can still answer."""
    wallet = make_wallet(chain=5 if "switch" in method else 1)
    with panel.browser.before_scripts(HURRY):
        panel.open()
        panel.choose(wallet)
        if method != "eth_requestAccounts":
            wallet.approve_connect()
            panel.wait_for("wrong_network" if "switch" in method else "ready_to_sign")
            panel.browser.click("switch-network" if "switch" in method else "sign-button")
        panel.browser.see("reload-page")
        assert "then reload this page" in panel.spoken
    {
        "eth_requestAccounts": wallet.approve_connect,
        "wallet_switchEthereumChain": wallet.approve_switch,
        "personal_sign": wallet.approve_sign,
    }[method]()
    if method == "personal_sign":
        panel.browser.arrive_at("/session")
    else:
        panel.wait_for("ready_to_sign")


@pytest.mark.parametrize("how", ["throws", "silent"])
def test_an_updated_wallet_asks_for_a_reload_to_confirm(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere, pass_time: TimeMachine, how: str
) -> None:
    elsewhere.sign_in(wallet, FIREFOX)
    browser.enter(wallet)
    pass_time(301)
    with browser.before_scripts(HURRY):
        panel = ask_to_end(browser)
        wallet.cut_off(how)
        panel.start()
        if how == "throws":
            panel.wait_for("failed", "stale")
        assert browser.see("confirm-renew").text == "Reload this page"
        assert "eload this page" in panel.spoken
    browser.follow("confirm-renew")
    panel.arrive("session.revoke")
    panel.confirm(wallet)
    browser.arrive_at("/sessions")
