"""A kind of session that the account may not have is refused before its wallet is asked to sign."""

from __future__ import annotations

from .pages import Browser, ConnectPanel
from .wallet_in_page import WalletInPage


def test_a_type_is_refused_before_the_wallet_signs(browser: Browser, wallet: WalletInPage) -> None:
    panel = ConnectPanel(browser)
    panel.open(session_type="professional", next="/session")
    panel.choose(wallet)
    wallet.approve_connect()
    browser.arrive_at("/unauthorized")  # although the wallet has approved no signature
    assert "session_type=professional" in browser.path
    assert "It is for verified accounts. You\N{RIGHT SINGLE QUOTATION MARK}re not signed in." in browser.text
    browser.follow("unauthorized-ordinary")
    browser.arrive_at("/sign-in")
    assert "next=/session" in browser.path
