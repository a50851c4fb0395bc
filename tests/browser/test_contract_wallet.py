"""A smart-contract wallet in the browser: it signs in like any other, and where it can't the page says why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ..evm import CHAIN, Anvil
from ..evm.contracts import HANDLERLESS, REFUSING, ApprovingWallet, ContractWallet, creation
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


def test_a_contract_wallet_signs_in(browser: Browser, panel: ConnectPanel, wallet: ContractWalletInPage) -> None:
    panel.connect(wallet)
    panel.sign()
    text = wallet.approve_sign()
    browser.arrive_at("/session")
    assert wallet.contract.address in text.lower()


def test_unsupported_network_tells_the_user_to_switch(
    browser: Browser, panel: ConnectPanel, wallet: ContractWalletInPage
) -> None:
    """The server has no node to check a smart-contract wallet on that network; signing works after switching."""
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
    assert browser.focused.text == "We couldn\u2019t reach your wallet\u2019s network"
    node.down = False
    panel.retry()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


# -- What the contract says ------------------------------------------------------------------------------------


class Told(ContractWalletInPage):
    """A wallet whose account is any contract, and which answers what the test says."""

    account_is: Any
    answer: str | None = None

    @property
    def addresses(self) -> list[str]:
        return [self.account_is]

    def _sign(self, request: Request, key: Any) -> tuple[str, str]:
        text, signature = WalletInPage._sign(self, request, key)
        return text, signature if self.answer is None else self.answer


@pytest.fixture
def told(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Told]]:
    made: list[Told] = []

    def make(address: str, answer: str | None = None) -> Told:
        monkeypatch.setattr(Told, "account_is", address, raising=False)
        monkeypatch.setattr(Told, "answer", answer)
        made.append(Told(browser.driver, "Safe", chain=int(CHAIN.split(":")[1])))
        return made[-1]

    yield make
    for each in made:
        each.uninstall()


def test_an_approval_on_chain_signs_in(
    browser: Browser, panel: ConnectPanel, evm: Anvil, told: Callable[..., Told]
) -> None:
    """The wallet answers 0x, once all owners have approved the text on chain."""
    safe = ApprovingWallet(evm)
    wallet = told(safe.address, "0x")
    panel.connect(wallet)
    panel.sign()
    safe.approve(panel.preview)
    wallet.approve_sign()
    browser.arrive_at("/session")


SAYS = {
    "contract_refused": (REFUSING["a revert that says yes"], None, "refused the signature"),
    "contract_silent": (HANDLERLESS, None, "gave no answer"),
    "contract_missing": (None, "0x", "no smart-contract wallet at that address"),
}


@pytest.mark.parametrize("state", SAYS)
def test_page_explains_the_answer_of_the_contract(
    browser: Browser, panel: ConnectPanel, evm: Anvil, told: Callable[..., Told], state: str
) -> None:
    code, answer, title = SAYS[state]
    wallet = told(evm.deploy(creation(code)) if code else "0x" + "12" * 20, answer)
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    panel.wait_for(state)
    assert title in browser.focused.text
    panel.retry()
    panel.wait_for("ready_to_sign")


def test_without_a_node_the_page_names_both_causes(
    browser: Browser, panel: ConnectPanel, told: Callable[..., Told]
) -> None:
    wallet = told("0x" + "12" * 20)
    wallet.chain = 1
    wallet.install()
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    panel.wait_for("bad_signature")
    assert "Check which account is active" in panel.error
    assert "If it is a smart-contract wallet" in panel.error
