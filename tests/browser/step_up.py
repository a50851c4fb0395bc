"""Pages that ask for a signature: before another session is ended, and before one is extended."""

from __future__ import annotations

from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .pages import FIREFOX, Browser, ConfirmPanel
from .wallet_in_page import WalletInPage


def ask_to_end(browser: Browser) -> ConfirmPanel:
    """Press the button that ends the other session; return the panel that asks for a signature."""
    browser.open("/sessions")
    browser.click("session-revoke")
    panel = ConfirmPanel(browser)
    panel.arrive("session.revoke")
    return panel


def start_to_end(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere, pass_time: TimeMachine
) -> ConfirmPanel:
    """Sign in twice, let the signature grow old, ask to end the other session, and start to confirm it."""
    elsewhere.sign_in(wallet, FIREFOX)
    browser.enter(wallet)
    pass_time(301)
    panel = ask_to_end(browser)
    panel.start()
    return panel


def ask_to_extend(browser: Browser) -> ConfirmPanel:
    """Press the button that extends the session; return the panel that asks for a signature."""
    browser.open("/session")
    browser.click("extend")
    panel = ConfirmPanel(browser)
    panel.arrive("session.extend")
    return panel
