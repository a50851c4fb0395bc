"""A page that hears of its session and its account by a connection."""

from __future__ import annotations

from sessions_core.parts.live_updates import LiveUpdates

from .pages import Browser
from .wallet_in_page import WalletInPage


def connected(browser: Browser, live: LiveUpdates, count: int = 1) -> None:
    """Wait until as many connections are open, and the page in front has heard the state."""
    browser.wait_for_session("active")
    browser.wait(lambda: live.hub.count == count, lambda: f"{live.hub.count} connections")
    browser.wait(live.hub._listening.is_set)


def handle_of(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('session-timeout').dataset.sessionId"))


def private(browser: Browser, wallet: WalletInPage) -> bool:
    """Whether the page still has a word of the account, shown or not."""
    html = str(browser.run("return document.documentElement.outerHTML + document.title"))
    return any(word.lower() in html.lower() for word in (wallet.address, wallet.address[:6], "session-permission"))


def notice(browser: Browser) -> str:
    return " ".join(browser.see("live-notice").text.split())
