"""What our scripts keep in the browser goes with the account; what the application keeps is the application's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from sessions_core.web.services import Services

from .conftest import account_of
from .pages import Browser
from .wallet_in_page import WalletInPage

# An application that listens, as docs/integrate.md says.
LISTENS = """
window.told = [];
for (const type of ["sessions:ended", "sessions:account-changed"]) {
  document.addEventListener(type, (event) => {
    told.push(event.type);
    localStorage.removeItem("draft");
    localStorage.setItem("log", `${localStorage.getItem("log") ?? ""} ${event.type}`.trim());
  });
}
"""
OWN = ("wallet-session-kept", "wallet-session-last", "wallet-session-acknowledged")


@pytest.fixture
def listening(browser: Browser) -> Iterator[Browser]:
    with browser.before_scripts(LISTENS):
        yield browser


def fill(browser: Browser) -> None:
    """Put keys of ours and of the application into both storages."""
    browser.run(
        "for (const storage of [localStorage, sessionStorage]) {"
        "  for (const key of [...arguments[0], 'theme', 'draft', 'walletx']) storage.setItem(key, 'of A');"
        "}",
        OWN,
    )


def kept(browser: Browser, storage: str = "localStorage") -> set[str]:
    return set(browser.run(f"return Object.keys({storage})")) - {"log"}


def told(browser: Browser) -> list[str]:
    return list(browser.run("return told"))


def log(browser: Browser) -> list[str]:
    return str(browser.run("return localStorage.getItem('log') ?? ''")).split()


def test_another_account_finds_nothing_of_the_first(
    listening: Browser, wallet: WalletInPage, make_wallet: Callable[..., WalletInPage]
) -> None:
    listening.enter(wallet)
    listening.wait_for_session("active")
    fill(listening)
    listening.enter(make_wallet("Other Wallet"))
    listening.wait(lambda: told(listening) == ["sessions:account-changed"], "not told")
    assert kept(listening) == {"theme", "walletx", "wallet-session-account"}
    assert kept(listening, "sessionStorage") == {"theme", "draft", "walletx", "wallet-session-account"}
    listening.driver.refresh()
    listening.wait_for_session("active")
    assert told(listening) == []


def test_the_same_account_finds_its_own_again(listening: Browser, wallet: WalletInPage) -> None:
    listening.enter(wallet)
    fill(listening)
    listening.enter(wallet)
    listening.wait_for_session("active")
    assert told(listening) == []
    assert set(OWN) <= kept(listening)


def test_a_tab_that_slept_through_the_change_notices(
    listening: Browser, wallet: WalletInPage, make_wallet: Callable[..., WalletInPage]
) -> None:
    """Its sessionStorage is still of the first account, while the other tab has noted the second in localStorage."""
    listening.enter(wallet)
    fill(listening)
    other = make_wallet("Other Wallet")
    listening.take_cookie(other)
    listening.new_tab()
    listening.open("/session")
    listening.wait_for_session("active")
    assert kept(listening) & set(OWN) == set()
    listening.switch_to(listening.home)
    listening.driver.refresh()
    listening.wait_for_session("active")
    listening.wait(lambda: kept(listening, "sessionStorage") & set(OWN) == set(), "still there")
    assert other.address[:6] in listening.text


def test_a_session_that_ended_while_its_tab_was_closed(
    listening: Browser, wallet: WalletInPage, services: Services
) -> None:
    listening.enter(wallet)
    listening.wait_for_session("active")
    fill(listening)
    listening.open("/livez")
    services.lifecycle.revoke_account(account_of(wallet))
    listening.open("/")
    listening.wait(lambda: told(listening) == ["sessions:ended"], "not told")
    assert kept(listening) == {"theme", "walletx"}
    listening.open("/sign-in")
    listening.driver.refresh()
    assert told(listening) == [], "once"


def test_a_session_that_ends_on_an_open_page(listening: Browser, wallet: WalletInPage, services: Services) -> None:
    """Told on the page itself, and again on the next one, for scripts that are only there."""
    listening.enter(wallet)
    listening.wait_for_session("active")
    fill(listening)
    services.lifecycle.revoke_account(account_of(wallet))
    listening.look_again()
    listening.arrive_at("/signed-out")
    listening.wait(lambda: log(listening) == ["sessions:ended"] * 2, lambda: str(log(listening)))
    assert kept(listening) == {"theme", "walletx"}


def test_signing_out_leaves_the_application_its_own(listening: Browser, wallet: WalletInPage) -> None:
    listening.enter(wallet)
    listening.wait_for_session("active")
    fill(listening)
    listening.driver.execute_async_script(
        "const asked = indexedDB.open('app'); asked.onsuccess = () => { asked.result.close(); arguments[0](); };"
    )
    listening.follow("sign-out")
    listening.arrive_at("/signed-out")
    listening.wait(lambda: told(listening) == ["sessions:ended"], "not told")
    assert kept(listening) == {"theme", "walletx"}
    names = "indexedDB.databases().then((all) => arguments[0](all.map(({ name }) => name)))"
    assert "app" in listening.driver.execute_async_script(names)


@pytest.mark.parametrize("path", ["/signed-out", "/signed-out?reason=revoked", "/sign-in?reason=everywhere"])
def test_a_link_clears_nothing(listening: Browser, path: str) -> None:
    listening.open("/livez")
    fill(listening)
    listening.open(path)
    listening.wait(lambda: listening.run("return document.readyState === 'complete'"))
    listening.module("http", "module.request('/api/auth/sessions/validate').catch(() => true)")
    assert told(listening) == []
    assert set(OWN) | {"theme", "draft"} <= kept(listening)


class TestCookiesThatLinksDoNotBring:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_COOKIE_SAMESITE": "Strict"}

    def test_a_page_without_a_cookie_is_no_dead_session(self, listening: Browser, wallet: WalletInPage) -> None:
        """A link from another site opens the page without the cookie; the session lives."""
        listening.sign_in(wallet)
        listening.wait_for_session("active")
        fill(listening)
        page = f"<a id=link href='{listening.origin}/signed-out?reason=revoked'>a link</a>"
        listening.driver.get("data:text/html," + quote(page))
        listening.driver.find_element("id", "link").click()
        listening.see("signed-out")
        listening.module("http", "module.request('/api/auth/sessions/validate').then(() => true)")
        assert told(listening) == []
        assert set(OWN) <= kept(listening)
        listening.open("/session")
        listening.wait_for_session("active")
