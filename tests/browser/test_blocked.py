"""A wallet that the browser keeps out of the page, since the site's policy allows no inline scripts and no styles but
its own: the page says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .pages import Browser, ConnectPanel
from .wallet_in_page import WalletInPage

SCRIPT = "const s = document.createElement('script'); s.append('window.ethereum = {{}}'); document.{place}.append(s);"
STYLE = "const s = document.createElement('style'); s.append('#wallet {{ color: red }}'); document.{place}.append(s);"
EARLY = "new MutationObserver((_, all) => {{ if (!document.head) return; all.disconnect(); {add} }})"
EARLY += ".observe(document, {{ childList: true, subtree: true }});"
LATE = "document.addEventListener('DOMContentLoaded', () => {{ {add} }});"

HINT = "Some wallets add a script to the page"


def words(browser: Browser) -> str:
    return str(browser.run("return document.getElementById('connect').innerText"))


@pytest.fixture
def extension(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Any]:
    """What an extension does to each page."""
    when, what, place = request.param
    source = when.format(add=what.format(place=place))
    browser.expected_complaints += ["Content Security Policy", "TrustedScript"]
    added = browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
    yield
    browser.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


CASES = {
    "a script at once": (EARLY, SCRIPT, "head"),
    "a script": (LATE, SCRIPT, "head"),
    "styles": (LATE, STYLE, "body"),
}


@pytest.mark.parametrize("extension", CASES.values(), ids=CASES, indirect=True)
@pytest.mark.usefixtures("extension")
def test_blocked_wallet_is_explained(browser: Browser, panel: ConnectPanel) -> None:
    panel.open()
    panel.wait_for("no_wallet")
    assert "Your browser blocked something on this page" in browser.see("blocked").text
    assert browser.see("install-links")
    assert HINT not in words(browser)


def test_without_a_violation_the_page_advises_to_install(browser: Browser, panel: ConnectPanel) -> None:
    panel.open()
    panel.wait_for("no_wallet")
    assert browser.shown("blocked") is None
    assert browser.see("install-links")
    assert HINT in words(browser)


@pytest.mark.parametrize("extension", [CASES["styles"]], indirect=True)
@pytest.mark.usefixtures("extension")
def test_found_wallet_shows_no_blocking_notice(browser: Browser, panel: ConnectPanel, wallet: WalletInPage) -> None:
    wallet.install()
    panel.open()
    panel.wait_for("wallet_list")
    assert browser.shown("blocked") is None


def test_scripted_violation_event_is_ignored(browser: Browser, panel: ConnectPanel) -> None:
    panel.open()
    panel.wait_for("no_wallet")
    browser.run(
        "document.dispatchEvent(new SecurityPolicyViolationEvent('securitypolicyviolation', {"
        " effectiveDirective: 'script-src-elem', violatedDirective: 'script-src', documentURI: location.href,"
        " originalPolicy: '', disposition: 'enforce', statusCode: 200 }))"
    )
    assert browser.shown("blocked") is None
