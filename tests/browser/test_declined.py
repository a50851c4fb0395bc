"""Refusals are read from codes and words alike, and declining is no error, however a wallet says it."""

from __future__ import annotations

from typing import Any

import pytest

from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .families_in_page import FamilyWallet, Leather, Put, Solana, Xverse
from .pages import Browser, ConnectPanel
from .step_up import start_to_end
from .wallet_in_page import MakeWallet, WalletInPage

DECLINED = {
    "an internal error": "{ code: -32603, message: 'MetaMask Message Signature: User denied message signature.' }",
    "a code of WalletConnect": "{ code: 5002 }",
    "an error": "new Error('User rejected the request.')",
    "a sentence": "'Cancelled by user'",
}
"""What real wallets threw, in JavaScript."""


# -- The mapper ------------------------------------------------------------------------------------------------

KINDS = [
    ("{ code: 4001 }", "rejected"),
    ("{ code: '4001' }", "rejected"),
    ("{ code: 'ACTION_REJECTED', message: 'ethers-user-denied' }", "rejected"),
    ("{ code: 5000, message: 'User rejected.' }", "rejected"),
    ("{ code: -32603, data: { originalError: { code: 4001 } } }", "rejected"),
    ("{ code: -32603, data: { message: 'User denied account authorization' } }", "rejected"),
    ("new Error('Failed', { cause: { code: 4001 } })", "rejected"),
    ("{ error: 'user_rejected' }", "rejected"),
    ("{ status: 'error', error: { code: -32000, message: 'User canceled the request' } }", "rejected"),
    ("{ code: 4100, message: 'User rejected account access' }", "rejected"),
    ("{ message: 'Ledger device: Condition of use not satisfied (denied by the user?) (0x6985)' }", "rejected"),
    ("'user closed the window'", "rejected"),
    ("'Request declined'", "rejected"),
    ("'Signing cancelled.'", "rejected"),
    ("'Popup closed'", "rejected"),
    ("{ code: 4100, message: 'The requested method has not been authorized by the user.' }", "locked"),
    ("{ code: -32002, message: 'User rejected nothing yet: a request is pending' }", "pending"),
    ("{ code: -32603, message: 'Internal JSON-RPC error.' }", "failed"),
    ("{ code: 4100, message: 'This is a read-only account' }", "unable"),
    ("{ code: 4001, message: 'Watch-only wallets can not sign' }", "unable"),
    ("new Error('personal_sign is not supported on hardware wallets')", "unable"),
    ("{ code: -32603, message: 'Ledger does not support off-chain message signing' }", "unable"),
    ("{ code: 4001, message: 'The hardware device rejected the request' }", "rejected"),
    ("{ code: 4200, message: 'The requested method is not supported by this provider' }", "unsupported"),
    ("new Error('Extension context invalidated.')", "stale"),
    ("{ code: 4900, message: 'MetaMask: Disconnected from MetaMask background. Page reload required.' }", "stale"),
    ("new Error('Could not establish connection. Receiving end does not exist.')", "stale"),
    ("{ code: 4001, message: 'The message port closed before a response was received.' }", "rejected"),
    ("'Transaction rejected by the node'", "failed"),
    ("'Access denied.'", "failed"),
    ("'Connection refused'", "failed"),
    ("'Connection closed'", "failed"),
    ("'m'.repeat(5_000) + ' user rejected'", "failed"),
    ("(() => { const round = {}; round.error = round.data = round; return round })()", "failed"),
    (
        "{ get code() { throw 0 }, get name() { throw 0 }, get error() { throw 0 }, message: 'User rejected' }",
        "rejected",
    ),
    ("new Proxy({}, { get: () => new Proxy({}, { get() { throw 0 } }) })", "failed"),
    ("Array.from({ length: 100_000 }).reduce((inner) => ({ error: inner }), { code: 4001 })", "failed"),
    ("undefined", "failed"),
    ("7n", "failed"),
]


def test_refusals_are_read_from_codes_and_words(page: Browser) -> None:
    thrown = ", ".join(each for each, _ in KINDS)
    assert page.module("eip155", f"[{thrown}].map((error) => module.explain(error).kind)") == [
        kind for _, kind in KINDS
    ]


def test_every_family_reads_the_same_words(page: Browser) -> None:
    for family, more in (
        ("eip155", ""),
        ("solana", ""),
        ("icp", ""),
        ("stacks", ", {}"),
        ("stacks", ", { isLeather: true }"),
    ):
        thrown = ", ".join(DECLINED.values())
        kinds = page.module(family, f"[{thrown}].map((error) => module.explain(error{more}).kind)")
        assert kinds == ["rejected"] * len(DECLINED), (family, more)


# -- The pages ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thrown", DECLINED.values(), ids=DECLINED)
def test_declining_in_any_words_is_no_error(panel: ConnectPanel, wallet: WalletInPage, thrown: str) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.throw(thrown)
    panel.wait_for("rejected_connect")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.throw(thrown)
    panel.wait_for("rejected_sign")
    assert panel.spoken.startswith("You declined.")


@pytest.mark.parametrize(
    ("kind", "config"),
    [(Leather, {}), (Leather, {"bare": True}), (Xverse, {}), (Solana, {})],
    ids=["Leather", "Leather, bare", "Xverse", "Solana"],
)
def test_declining_in_words_is_no_error_in_any_family(
    panel: ConnectPanel, put: Put, kind: type[FamilyWallet], config: dict[str, Any]
) -> None:
    wallet = put(kind, **config)
    panel.connect(wallet)
    for thrown in DECLINED.values():
        panel.sign()
        wallet.throw(thrown)
        panel.wait_for("rejected_sign")
    panel.sign()
    wallet.approve_sign()
    panel.browser.arrive_at("/session")


@pytest.mark.parametrize("thrown", DECLINED.values(), ids=DECLINED)
def test_declining_to_confirm_in_words_is_no_error(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere, pass_time: TimeMachine, thrown: str
) -> None:
    panel = start_to_end(browser, wallet, elsewhere, pass_time)
    wallet.throw(thrown)
    panel.wait_for("rejected")
    assert panel.spoken == "You declined. Nothing was changed."


def test_declining_to_link_in_words_is_no_error(
    browser: Browser, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    other = make_wallet("Other Wallet", rdns="org.example.other")
    browser.enter(wallet)
    browser.follow("link-wallet")
    panel = ConnectPanel(browser)
    panel.wait_for("wallet_list")
    panel.choose(other)
    other.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    other.throw(DECLINED["an internal error"])
    panel.wait_for("rejected_sign")
