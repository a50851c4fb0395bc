"""Kinds of accounts left out: the app starts, Ethereum signs in over HTTP, and no page mentions what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from ..actors import Visitor, Wallet
from .leaving_out import application_without, saying, walked

# What users would read, or what pages would tell scripts, if the part was there.
WORDS = {
    "solana": ("solana",),
    "stacks": ("stacks", "leather", "xverse"),
    "internet_computer": ("icp", "Internet Computer", "Internet Identity", "data-identity-url", "/api/auth/accounts"),
    "contract_wallets": ("smart-contract", "contract"),
    "trial_wallets": ("trial wallet", "try-without-wallet", "pregenerated", "/api/auth/wallets", "/session/wallet"),
    "wallet_apps": ("QR", "/sign-in/phone", "link.metamask.io"),
}
EXPECTED_ON_SIGN_IN = {
    "solana": "Solana Mainnet",
    "stacks": "stacks",
    "internet_computer": "/api/auth/accounts",
    "contract_wallets": "smart-contract",
    "trial_wallets": "try-without-wallet",
    "wallet_apps": "/sign-in/phone",
}


@pytest.mark.parametrize("name", WORDS)
def test_app_without_a_kind_of_account_says_nothing_of_it(make_app: Callable[..., Flask], name: str) -> None:
    found = walked(application_without(make_app, name))
    assert list(saying(found, WORDS[name])) == []


def test_words_are_those_of_a_complete_sign_in_page(make_app: Callable[..., Flask]) -> None:
    """Or the test above would look for the wrong ones."""
    page = Visitor(make_app()).get("/sign-in").get_data(as_text=True)
    assert [name for name, text in EXPECTED_ON_SIGN_IN.items() if text not in page] == []


def test_ethereum_alone_signs_in_and_confirms(make_app: Callable[..., Flask]) -> None:
    visitor, wallet = Visitor(application_without(make_app, *WORDS)), Wallet()
    visitor.sign_in(wallet)
    answer = visitor.confirm(wallet, visitor.submit("/session/extend"))
    assert answer.status_code == 303
    assert visitor.signed_in


@pytest.mark.parametrize(
    ("name", "path", "method"),
    [
        ("internet_computer", "/api/auth/accounts", "POST"),
        ("trial_wallets", "/api/auth/wallets", "POST"),
        ("trial_wallets", "/api/auth/wallets/sign", "POST"),
        ("trial_wallets", "/session/wallet/export", "GET"),
        ("trial_wallets", "/session/wallet/delete", "GET"),
        ("wallet_apps", "/sign-in/phone", "GET"),
    ],
)
def test_routes_of_a_part_that_is_left_out_are_404(
    make_app: Callable[..., Flask], name: str, path: str, method: str
) -> None:
    assert Visitor(application_without(make_app, name)).json(path, method).status_code == 404


def test_contract_signature_is_refused_without_their_part(make_app: Callable[..., Flask]) -> None:
    """As one of another key, since nothing else asks about it."""
    app, wallet = application_without(make_app, "contract_wallets"), Wallet()
    visitor = Visitor(app)
    answer: Any = visitor.attempt(wallet, signature="0x" + "11" * 66)
    assert answer.status_code == 400
    assert "signature_malformed" in answer.get_data(as_text=True)
