"""The element `<wallet-watch>`: its state, its notices, and a second tab with the same wallet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from .pages import Browser
from .wallet_in_page import WalletInPage


def state(browser: Browser) -> str | None:
    """Return the state of the element; None if the page has none."""
    return browser.run("return document.querySelector('wallet-watch')?.dataset.state")


def wait_for(browser: Browser, name: str) -> None:
    browser.wait(lambda: state(browser) == name, lambda: f"the watch is {state(browser)}, not {name}")


def notices(browser: Browser) -> list[WebElement]:
    """Return the notices that can be seen."""
    found = browser.driver.find_elements(By.CSS_SELECTOR, "wallet-watch .notice")
    return [notice for notice in found if notice.is_displayed()]


def short(address: str) -> str:
    """Return an address as the pages shorten it."""
    return f"{address[:6]}…{address[-4:]}"


def twin_of(wallet: WalletInPage, browser: Browser) -> WalletInPage:
    """Put the same wallet into the tab in front, from its next page on."""
    twin = WalletInPage(browser.driver, wallet.info["name"], chain=wallet.chain)
    twin.keys, twin.connected = wallet.keys, True
    twin.install()
    return twin


@contextmanager
def other_tab(browser: Browser, wallet: WalletInPage, path: str) -> Iterator[WalletInPage]:
    """Open a page in a tab of its own, with the same wallet in it; the tab stays in front until the block ends."""
    browser.new_tab()
    twin = twin_of(wallet, browser)
    browser.open(path)
    try:
        yield twin
    finally:
        browser.close_other_tabs()
