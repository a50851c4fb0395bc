"""A smart-contract wallet in the browser: it signs in like any other, and where it can't the page says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ..evm import CHAIN, Anvil
from ..evm.contracts import ContractWallet
from ..evm.nodes import Relay
from .pages import Browser, ConnectPanel
from .wallet_in_page import Request, WalletInPage


class ContractWalletInPage(WalletInPage):
    """A wallet whose account is a contract that is yet to be deployed."""

    contract: ContractWallet

    @property
    def addresses(self) -> list[str]:
        return [self.contract.address]

    def _sign(self, request: Request, key: Any) -> tuple[str, str]:
        text = bytes.fromhex(request["params"][0][2:]).decode()
        return text, self.contract.sign(text)


@pytest.fixture
def overrides(overrides: dict[str, Any], node: Relay) -> dict[str, Any]:
    return overrides | {
        "SESSIONS_CORE_CHAINS": ("eip155:1", CHAIN),
        "SESSIONS_CORE_RPC_URLS": {CHAIN: node.url},
    }


@pytest.fixture
def wallet(browser: Browser, evm: Anvil, monkeypatch: pytest.MonkeyPatch) -> Iterator[ContractWalletInPage]:
    monkeypatch.setattr(ContractWalletInPage, "contract", ContractWallet(evm), raising=False)
    wallet = ContractWalletInPage(browser.driver, "Contract Wallet", chain=int(CHAIN.split(":")[1]))
    yield wallet
    wallet.uninstall()


@pytest.fixture
def panel(browser: Browser) -> ConnectPanel:
    return ConnectPanel(browser)


def test_a_contract_wallet_signs_in(browser: Browser, panel: ConnectPanel, wallet: ContractWalletInPage) -> None:
    panel.connect(wallet)
    panel.sign()
    text = wallet.approve_sign()
    browser.arrive_at("/session")
    assert wallet.contract.address in text.lower()


def test_on_a_network_that_can_not_be_asked_the_page_says_what_to_do(
    browser: Browser, panel: ConnectPanel, wallet: ContractWalletInPage
) -> None:
    wallet.chain = 1
    wallet.install()
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    panel.wait_for("contract_wallet")
    assert browser.focused.text == "We can\u2019t check a smart-contract wallet here"
    assert "Switch the network in your wallet" in panel.error
    wallet.switch_chain(int(CHAIN.split(":")[1]))
    panel.retry()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_when_the_network_is_out_of_reach_one_click_tries_again(
    browser: Browser, panel: ConnectPanel, wallet: ContractWalletInPage, node: Relay
) -> None:
    node.down = True
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    panel.wait_for("network_unreachable")
    assert browser.focused.text == "We could not reach your wallet\u2019s network"
    node.down = False
    panel.retry()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
