"""Wallets of Solana that know what a sign-in is (`solana:signIn`): they write the text from the server's fields."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from ..signers import SOLANA, SolanaSigner
from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .families_in_page import Put, SignsIn
from .pages import FIREFOX, Browser, ConnectPanel
from .step_up import ask_to_end

SIGNER = SolanaSigner("33" * 32)
LINES = [
    "URI: https://example.org/",
    "Version: 1",
    "Chain ID: mainnet",
    "Nonce: abcdefgh12345678",
    "Issued At: 2026-01-31T12:00:00Z",
    "Expiration Time: 2026-01-31T12:05:00Z",
]
HEAD = f"example.org wants you to sign in with your Solana account:\n{SIGNER.address}\n\n"
FIELDS = {
    "domain": "example.org",
    "address": SIGNER.address,
    "uri": "https://example.org/",
    "version": "1",
    "chainId": "mainnet",
    "nonce": "abcdefgh12345678",
    "issuedAt": "2026-01-31T12:00:00Z",
    "expirationTime": "2026-01-31T12:05:00Z",
}


@pytest.fixture
def overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    return overrides | {"SESSIONS_CORE_CHAINS": (SOLANA,)}


@pytest.fixture
def put(put: Put) -> Callable[..., SignsIn]:
    return partial(put, SignsIn)


def sign(panel: ConnectPanel, wallet: SignsIn) -> None:
    panel.connect(wallet)
    panel.sign()


def test_a_sign_in_is_asked_for_as_one(browser: Browser, panel: ConnectPanel, put: Callable[..., SignsIn]) -> None:
    wallet = put()
    sign(panel, wallet)
    shown = panel.preview
    assert wallet.approve_sign() == shown
    browser.arrive_at("/session")


def test_another_text_than_the_server_s_is_not_sent(
    browser: Browser, panel: ConnectPanel, put: Callable[..., SignsIn]
) -> None:
    """The page asks once more, in the other way, and remembers that for the next sign-in."""
    wallet = put(signIn="otherwise")
    sign(panel, wallet)
    assert wallet.approve_sign() == panel.preview + "\nResources:"
    wallet.signs = "signMessage"
    shown = panel.preview
    assert wallet.approve_sign() == shown
    browser.arrive_at("/session")
    browser.open("/sign-in?again=1")
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    assert "signIn" not in wallet.calls


def test_a_wallet_that_can_not_is_asked_the_other_way(
    browser: Browser, panel: ConnectPanel, put: Callable[..., SignsIn]
) -> None:
    wallet = put(signIn="unsupported")
    wallet.signs = "signMessage"
    sign(panel, wallet)
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_declined_sign_in_is_not_asked_in_the_other_way(panel: ConnectPanel, put: Callable[..., SignsIn]) -> None:
    wallet = put()
    sign(panel, wallet)
    wallet.reject()
    panel.wait_for("rejected_sign")
    assert wallet.waiting == []
    panel.sign()
    assert wallet.next_request()["method"] == "signIn"


def test_after_a_fault_the_next_click_asks_the_other_way(
    browser: Browser, panel: ConnectPanel, put: Callable[..., SignsIn]
) -> None:
    wallet = put()
    sign(panel, wallet)
    wallet.fail(-32603, "Internal error")
    panel.wait_for("sign_failed")
    panel.sign()
    wallet.signs = "signMessage"
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_a_confirmation_is_no_sign_in(
    browser: Browser, put: Callable[..., SignsIn], elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    wallet = put()
    elsewhere.sign_in(wallet, FIREFOX)
    browser.enter(wallet)
    pass_time(301)
    panel = ask_to_end(browser)
    panel.start()
    wallet.signs = "signMessage"
    assert "Request ID: " in wallet.approve_sign()


# -- The fields ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("statement", [None, "Sign in to Example.", "Link eip155:1:0x12 to this account."])
def test_the_fields_are_those_of_the_text(page: Browser, statement: str | None) -> None:
    text = HEAD + (f"{statement}\n\n" if statement else "") + "\n".join(LINES)
    expected = FIELDS | ({"statement": statement} if statement else {})
    assert page.module("solana", "module.signInInput(given[0])", text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        HEAD + "\n".join(reversed(LINES)),
        HEAD + "\n".join([*LINES, "Request ID: 12"]),
        HEAD + "\n".join([*LINES, "Resources:", "- https://example.org"]),
        HEAD + "\n".join([*LINES, ""]),
        HEAD + "URI: two\n\n" + "\n".join(LINES),
        HEAD + "one\ntwo\n\n" + "\n".join(LINES),
        HEAD + "\n" + "\n".join(LINES),
        HEAD + "\n".join([*LINES[:2], *LINES[1:]]),
        HEAD.replace("Solana", "Ethereum") + "\n".join(LINES),
    ],
    ids=range(11),
)
def test_a_text_that_can_not_come_out_the_same_has_no_fields(page: Browser, text: str) -> None:
    assert page.module("solana", "module.signInInput(given[0])", text) is None
