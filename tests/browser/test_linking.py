"""Linking another wallet, as a person does it: the other one signs, then the session's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.by import By

from sessions_core.web.services import Services

from ..part_services import linked_accounts_of
from .conftest import Elsewhere, Interruption, account_of
from .pages import FIREFOX, Browser, ConfirmPanel, ConnectPanel
from .wallet_in_page import MakeWallet, WalletInPage


@pytest.fixture
def wallet(make_wallet: MakeWallet) -> WalletInPage:
    return make_wallet("Own Wallet", rdns="org.example.own")


@pytest.fixture
def other(make_wallet: MakeWallet) -> WalletInPage:
    return make_wallet("Other Wallet", rdns="org.example.other")


@pytest.fixture
def panel(browser: Browser, wallet: WalletInPage, other: WalletInPage) -> ConnectPanel:
    """The link page, reached from the session's."""
    browser.enter(wallet)
    browser.follow("link-wallet")
    panel = ConnectPanel(browser)
    panel.wait_for("wallet_list")
    return panel


def offer(panel: ConnectPanel, other: WalletInPage) -> str:
    """Have the other wallet sign; return its text."""
    panel.choose(other)
    if not other.connected:
        other.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    return other.approve_sign()


def confirm(browser: Browser, wallet: WalletInPage, action: str) -> str:
    panel = ConfirmPanel(browser)
    panel.arrive(action)
    return panel.confirm(wallet)


def link(panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage) -> None:
    offer(panel, other)
    confirm(panel.browser, wallet, "wallet.link")
    panel.browser.arrive_at("/session")


def wallets(browser: Browser) -> list[str]:
    return [str(row.get_attribute("data-account")) for row in browser.all("wallet")]


def press(browser: Browser, account: str, button: str) -> None:
    row = browser.driver.find_element(By.CSS_SELECTOR, f'[data-testid="wallet"][data-account="{account}"]')
    browser.settled(row.find_element(By.CSS_SELECTOR, f'[data-testid="{button}"]')).click()


def test_two_wallets_sign_and_belong_to_one_user(
    panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage, services: Services
) -> None:
    browser, own, new = panel.browser, str(account_of(wallet)), str(account_of(other))
    text = offer(panel, other)
    assert text.split("\n")[1] == other.address
    assert own in text.split("\n")[3]
    text = confirm(browser, wallet, "wallet.link")
    assert text.split("\n")[1] == wallet.address
    assert new in text.split("\n")[3]
    browser.arrive_at("/session")
    assert "is now one of your wallets" in browser.see("message").text
    assert browser.focused.get_attribute("data-testid") == "message"
    assert wallets(browser) == [own, new]
    assert linked_accounts_of(services).user(account_of(other)).accounts == (account_of(wallet), account_of(other))

    press(browser, new, "wallet-prefer")
    assert new in confirm(browser, wallet, "wallet.primary")
    browser.arrive_at("/session")
    assert wallets(browser) == [new, own]

    press(browser, new, "wallet-unlink")
    assert new in confirm(browser, wallet, "wallet.unlink")
    browser.arrive_at("/session")
    assert wallets(browser) == [], "where there is one, the page shows it once"


def test_linked_wallet_sees_both_wallets_and_all_devices(
    panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage, elsewhere: Elsewhere
) -> None:
    """Signing in with the other wallet shows the user's two wallets and the devices of both."""
    browser = panel.browser
    link(panel, wallet, other)
    elsewhere.sign_in(wallet, FIREFOX)
    browser.sign_in(other, again="1")
    browser.open("/session")
    assert wallets(browser) == [str(account_of(wallet)), str(account_of(other))]
    browser.open("/sessions")
    assert [each.text for each in browser.all("session-address")] == [
        account_of(each).short_address for each in (other, wallet)
    ]


def test_already_linked_wallet_is_refused_before_it_signs(
    panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage
) -> None:
    panel.choose(wallet)
    panel.wait_for("account_linked")
    assert "already linked" in panel.error
    assert "one of your wallets" in panel.spoken
    assert wallet.waiting == []
    link(panel, wallet, other)


def test_wallet_of_another_user_is_refused_after_both_sign(
    panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage, make_wallet: MakeWallet, services: Services
) -> None:
    """The page does not name the owner, and the user can then link another wallet."""
    browser = panel.browser
    owner, third = (
        make_wallet("Their Wallet", rdns="org.example.their"),
        make_wallet("Third", rdns="org.example.third"),
    )
    linked_accounts_of(services).link(account_of(other), by=account_of(owner))
    offer(panel, other)
    confirm(browser, wallet, "wallet.link")
    panel.wait_for("account_linked_elsewhere")
    assert account_of(owner).short_address not in browser.text
    assert owner.address not in browser.driver.page_source
    link(panel, wallet, third)
    assert wallets(browser) == [str(account_of(wallet)), str(account_of(third))]


def test_declining_with_either_wallet_links_nothing(
    panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage
) -> None:
    browser = panel.browser
    panel.choose(other)
    other.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    other.reject()
    panel.wait_for("rejected_sign")
    panel.sign()
    other.approve_sign()
    confirmation = ConfirmPanel(browser)
    confirmation.arrive("wallet.link")
    confirmation.start()
    wallet.reject()
    confirmation.wait_for("rejected")
    browser.follow("confirm-cancel")
    browser.arrive_at("/session")
    assert wallets(browser) == []


def test_account_limit_is_explained_on_the_page(
    panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage, interrupt: Interruption
) -> None:
    interrupt.answers["/api/auth/challenges", "POST"] = lambda: (
        {"success": False, "error": {"code": "accounts_too_many", "message": "x", "request_id": "1"}},
        409,
    )
    panel.choose(other)
    other.approve_connect()
    panel.wait_for("accounts_too_many")
    assert "can\N{RIGHT SINGLE QUOTATION MARK}t link more wallets" in panel.error


def test_the_page_keeps_nothing_of_signing_in(panel: ConnectPanel, other: WalletInPage) -> None:
    panel.choose(other)
    other.approve_connect()
    panel.wait_for("ready_to_sign")
    assert panel.browser.shown("remember") is None
    assert "remember" not in panel.hidden_fields
    assert "signed in in a moment" not in panel.browser.text


def test_linking_pages_pass_axe(
    panel: ConnectPanel, wallet: WalletInPage, other: WalletInPage, check: Callable[[str], None]
) -> None:
    browser = panel.browser
    check("the list of wallets")
    panel.choose(wallet)
    panel.wait_for("account_linked")
    check("linked already")
    panel.choose(other)
    other.approve_connect()
    panel.wait_for("ready_to_sign")
    check("the text to sign")
    panel.sign()
    other.approve_sign()
    confirmation = ConfirmPanel(browser)
    confirmation.arrive("wallet.link")
    check("to confirm")
    confirmation.confirm(wallet)
    browser.arrive_at("/session")
    check("both wallets")
    browser.open("/sessions")
    check("the devices of both")
    browser.open("/activity")
    check("the activity of one")
