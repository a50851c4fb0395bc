"""Below `SESSIONS_CORE_URL_PREFIX` the scripts find every address in the pages, and name none themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from .pages import Browser, ConnectPanel
from .wallet_in_page import MakeWallet


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app(SESSIONS_CORE_URL_PREFIX="/account")


class MovedPanel(ConnectPanel):
    """The panel of the sign-in page below the prefix."""

    def open(self, **query: str) -> None:
        self.browser.open("/account/sign-in", **query)


def test_wallet_signs_in_and_out_below_a_prefix(browser: Browser, make_wallet: MakeWallet) -> None:
    panel, wallet = MovedPanel(browser), make_wallet()
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/account/session")
    assert browser.session_state == "active"
    browser.open("/account/sign-out")
    browser.all("sign-out")[-1].click()
    browser.arrive_at("/account/signed-out")
