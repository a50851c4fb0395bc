"""Each page loads the modules of those wallet families that the server lists for it, and no other."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from .conftest import Site
from .pages import Browser, ConnectPanel
from .wallet_in_page import WalletInPage

# Live updates have modules of their own, on each page.
LOADED = """
    return performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => name.endsWith(".js"))
      .filter((name) => name.includes("/parts/") && !name.includes("/live_updates/"))
      .map((name) => name.split("/").pop()).sort();
"""


def test_one_chain_loads_one_family(
    browser: Browser, wallet: WalletInPage, site: Site, make_app: Callable[..., Flask]
) -> None:
    site.app = make_app(SESSIONS_CORE_CHAINS=["eip155:1"], SESSIONS_CORE_PREGENERATED_WALLETS=False)
    panel = ConnectPanel(browser)
    panel.open()
    panel.row(wallet)
    assert browser.run(LOADED) == ["eip155.js"]
    browser.sign_in(wallet)
    browser.wait(lambda: browser.run("return document.querySelector('wallet-watch')?.dataset.state") == "watching")
    assert browser.run(LOADED) == ["eip155.js"]


def test_all_listed_families_are_loaded(
    browser: Browser, wallet: WalletInPage, site: Site, make_app: Callable[..., Flask]
) -> None:
    site.app = make_app(SESSIONS_CORE_CHAINS=["eip155:1", "stacks:1"], SESSIONS_CORE_PREGENERATED_WALLETS=True)
    panel = ConnectPanel(browser)
    panel.open()
    panel.row(wallet)
    assert browser.run(LOADED) == ["eip155.js", "pregenerated.js", "share-store.js", "stacks.js"]


def test_a_session_loads_the_family_of_its_wallet(browser: Browser, wallet: WalletInPage) -> None:
    """However many chains the site accepts."""
    browser.enter(wallet)
    browser.wait(lambda: browser.run("return document.querySelector('wallet-watch')?.dataset.state"))
    assert browser.run(LOADED) == ["eip155.js"]


def test_a_family_that_does_not_arrive_leaves_the_others(
    browser: Browser, wallet: WalletInPage, site: Site, make_app: Callable[..., Flask]
) -> None:
    site.app = make_app(SESSIONS_CORE_CHAINS=["eip155:1", "stacks:1"])
    browser.expected_complaints.append("net::ERR_BLOCKED_BY_CLIENT")
    browser.cdp("Network.enable")
    browser.cdp("Network.setBlockedURLs", urls=["*/stacks.js"])
    try:
        panel = ConnectPanel(browser)
        panel.open()
        panel.row(wallet)
        assert "Part of this page did not load" in browser.see("script-late").text
    finally:
        browser.cdp("Network.setBlockedURLs", urls=[])
    panel.open()
    panel.row(wallet)
    assert browser.shown("script-late") is None
