"""Every state of the connect panel, as a person meets it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from eth_account import Account
from flask import Flask, jsonify
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sessions_core import errors

from ..time_machine import TimeMachine
from .clocks_in_page import HURRY, LATER
from .conftest import CHALLENGES, Hold, Interruption, Site, refusal
from .pages import Browser, ConnectPanel
from .wallet_in_page import ICON, MakeWallet, WalletInPage

# -- Signing in ---------------------------------------------------------------------------------------


def test_connecting_and_signing_signs_in(browser: Browser, panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    shown = panel.preview
    panel.sign()
    assert wallet.approve_sign() == shown
    browser.arrive_at("/session")
    assert browser.session_state == "active"
    assert "Test Wallet" in browser.text


def test_sign_in_text_names_origin_account_and_network(panel: ConnectPanel, wallet: WalletInPage, site: Site) -> None:
    panel.connect(wallet)
    lines = panel.preview.split("\n")
    assert lines[0] == f"{site.origin} wants you to sign in with your Ethereum account:"
    assert lines[1] == wallet.address
    assert "Chain ID: 1" in lines


def test_wallet_is_not_asked_before_a_click(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.row(wallet)
    assert wallet.calls == []
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    assert "personal_sign" not in wallet.calls


def test_user_returns_to_the_page_they_came_from(browser: Browser, wallet: WalletInPage) -> None:
    browser.open("/session")
    browser.arrive_at("/sign-in")
    assert "next=/session" in browser.path
    browser.sign_in(wallet, next="/?from=here")
    assert browser.path == "/?from=here"


def test_the_keyboard_alone_signs_in(browser: Browser, panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.row(wallet)
    browser.run("document.querySelector('[data-part=connect-heading]').focus()")
    browser.press(Keys.TAB, Keys.ENTER)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    assert browser.focused.text == "Sign the message"
    browser.press(Keys.TAB)
    assert browser.focused.get_attribute("data-testid") == "sign-button"
    browser.press(Keys.TAB, Keys.TAB)
    assert browser.focused.get_attribute("data-testid") == "remember"
    browser.press(Keys.SPACE, Keys.ENTER)
    assert panel.state == "ready_to_sign", "Enter in the box must not send a form without a signature"
    back = ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(Keys.TAB, Keys.TAB).key_up(Keys.SHIFT)
    back.send_keys(Keys.ENTER).perform()
    wallet.approve_sign()
    browser.arrive_at("/session")


@pytest.mark.parametrize("remember", [True, False])
def test_remember_me_outlives_the_browser_only_when_ticked(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, remember: bool
) -> None:
    panel.connect(wallet)
    if remember:
        browser.click("remember")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
    cookie = next(cookie for cookie in browser.driver.get_cookies() if cookie["name"] == "__Host-session")
    assert ("expiry" in cookie) is remember


def test_every_state_is_spoken_as_a_sentence(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.choose(wallet)
    panel.wait_for("connecting")
    assert panel.spoken == "Waiting for “Test Wallet”. Choose an account in its window and confirm."
    wallet.reject()
    panel.wait_for("rejected_connect")
    assert panel.spoken.startswith("You declined to connect “Test Wallet”.")


def test_nothing_is_kept_in_web_storage(browser: Browser, wallet: WalletInPage) -> None:
    browser.sign_in(wallet)
    kept = browser.run("return JSON.stringify({...localStorage, ...sessionStorage})")
    for secret in ("0x", "nonce", "csrf", "eyJ"):
        assert secret not in kept


# -- Finding wallets ----------------------------------------------------------------------------------


def test_without_a_wallet_the_page_says_where_to_get_one(browser: Browser, panel: ConnectPanel) -> None:
    panel.open(next="/session")
    panel.wait_for("no_wallet")
    links = browser.see("install-links").find_elements(By.TAG_NAME, "a")
    assert [link.text.split("\n")[0] for link in links][:3] == ["MetaMask", "Rabby", "Coinbase Wallet"]
    assert all("noreferrer" in str(link.get_attribute("rel")) for link in links)
    browser.click("reload")
    panel.wait_for("no_wallet")
    assert browser.path == "/sign-in?next=/session"


def test_a_wallet_that_comes_late_is_listed(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    late = make_wallet("Late Wallet", announce="later")
    panel.open()
    panel.wait_for("no_wallet")
    late.announce()
    panel.wait_for("wallet_list")
    assert panel.wallets == ["Late Wallet"]
    panel.choose(late)
    late.approve_connect()
    panel.wait_for("ready_to_sign")


def test_window_ethereum_is_used_only_without_announcements(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet
) -> None:
    old = make_wallet("unused", legacy=True)
    panel.open()
    panel.wait_for("wallet_list")
    assert panel.wallets == ["Browser wallet"]
    panel.rows[0].click()
    old.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    old.approve_sign()
    browser.arrive_at("/session")


def test_an_announced_wallet_takes_the_place_of_window_ethereum(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    make_wallet("unused", legacy=True)
    new = make_wallet("New Wallet", announce="later")
    panel.open()
    panel.wait_for("wallet_list")
    new.announce()
    panel.row(new)
    assert panel.wallets == ["New Wallet"]


def test_a_wallet_that_repeats_itself_is_listed_once(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.row(wallet)
    wallet.announce()
    wallet.announce()
    assert panel.wallets == ["Test Wallet"]
    assert panel.browser.shown("imitation") is None


def test_a_hostile_name_becomes_one_printable_line(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    hostile = make_wallet("Wal\u202elet <img src=x onerror=alert(1)>\u200b\u2028Two")
    nameless = make_wallet(" \u200b\u202e\u3164 ", rdns="org.example.nameless")
    panel.open()
    assert panel.words(panel.row(hostile)) == "Wallet <img src=x onerror=alert(1)> Two"
    assert panel.words(panel.row(nameless)) == "Unnamed wallet"
    assert panel.browser.driver.find_elements(By.CSS_SELECTOR, "#connect img[src=x]") == []


@pytest.mark.parametrize(
    ("icon", "drawn"),
    [
        (ICON, True),
        (ICON.replace("image/svg+xml", "image/svg"), True),
        ("https://tracker.example/icon.png", False),
        ("data:image/png;base64,broken", False),
    ],
    ids=["svg", "repaired", "elsewhere", "broken"],
)
def test_only_pictures_in_the_announcement_are_drawn(
    panel: ConnectPanel, make_wallet: MakeWallet, icon: Any, drawn: bool
) -> None:
    wallet = make_wallet(icon=icon)
    panel.open()
    tile = panel.row(wallet).find_element(By.CLASS_NAME, "tile")
    if drawn:
        panel.browser.wait(lambda: tile.get_attribute("data-picture") is not None, "the picture was not drawn")
        image = tile.find_element(By.TAG_NAME, "img")
        assert (image.size["width"], image.size["height"], image.get_attribute("alt")) == (32, 32, "")
    else:
        panel.browser.wait(lambda: not tile.find_elements(By.TAG_NAME, "img"), "something was drawn")
        assert tile.text == "T"


BROKEN = (
    "null",
    "{}",
    "{ info: null, provider: { request() {} } }",
    "{ info: { uuid: '', name: 'x' }, provider: { request() {} } }",
    "{ info: { uuid: 'a b', name: 'x' }, provider: { request() {} } }",
    "{ info: { uuid: 'u1', name: 'x' }, provider: {} }",
    "{ info: { uuid: 'window.ethereum', name: 'x' }, provider: { request() {} } }",
    "{ get info() { throw new Error('trap') } }",
)


def test_broken_announcements_are_ignored(browser: Browser, panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.row(wallet)
    for detail in BROKEN:
        browser.run(f"window.dispatchEvent(new CustomEvent('eip6963:announceProvider', {{ detail: {detail} }}))")
    assert panel.wallets == ["Test Wallet"]


def test_on_a_phone_the_page_offers_the_wallets_own_browsers(
    browser: Browser, panel: ConnectPanel, site: Site
) -> None:
    browser.as_a_phone()
    browser.look(width=390, height=800)
    panel.open(next="/session")
    panel.wait_for("in_app_browser")
    here = site.origin.removeprefix("http://")
    targets = [str(link.get_attribute("href")) for link in browser.all("wallet-app")]
    assert targets[0] == f"https://link.metamask.io/dapp/{here}/sign-in?next=/session"
    quoted = f"http%3A%2F%2F{here.replace(':', '%3A')}%2Fsign-in%3Fnext%3D%2Fsession"
    assert targets[1] == f"https://go.cb-w.com/dapp?cb_url={quoted}"
    assert targets[2] == f"https://connect.xverse.app/browser?url={quoted}"
    assert targets[3].startswith(f"https://phantom.app/ul/browse/{quoted}?ref=")


def test_a_phone_with_a_wallet_inside_signs_in_as_usual(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.browser.as_a_phone()
    panel.connect(wallet)


# -- What wallets answer to "connect" -------------------------------------------------------------------


def test_other_wallets_are_disabled_while_one_connects(
    panel: ConnectPanel, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    """A second press sends no second request; cancelling enables all wallets again."""
    other = make_wallet("Other Wallet")
    panel.open()
    panel.row(other)
    panel.choose(wallet)
    panel.wait_for("connecting")
    assert panel.row(wallet).get_attribute("aria-busy") == "true"
    assert not panel.row(other).is_enabled()
    panel.choose(wallet)
    wallet.next_request("eth_requestAccounts")
    assert wallet.waiting == [], "a second press asked a second time"
    panel.cancel()
    panel.wait_for("wallet_list")
    assert panel.row(other).is_enabled()
    assert panel.row(wallet).get_attribute("aria-busy") is None


def test_a_slow_wallet_gets_a_hint_and_may_still_answer(panel: ConnectPanel, wallet: WalletInPage) -> None:
    with panel.browser.before_scripts(HURRY):
        panel.open()
        panel.choose(wallet)
        panel.wait_for("connect_slow")
    assert "Its window may be behind this one" in panel.browser.text
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_a_late_answer_after_cancel_changes_nothing(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.stall()
    panel.cancel()
    panel.wait_for("wallet_list")
    assert panel.browser.focused == panel.row(wallet)
    wallet.answer_late()
    assert panel.state == "wallet_list"
    assert "eth_chainId" not in wallet.calls


def test_late_answer_of_a_cancelled_wallet_is_ignored(
    panel: ConnectPanel, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    """The next wallet connects undisturbed."""
    other = make_wallet("Other Wallet")
    panel.open()
    panel.choose(wallet)
    wallet.stall()
    panel.cancel()
    panel.choose(other)
    wallet.answer_late()
    assert panel.state == "connecting"
    other.approve_connect()
    panel.wait_for("ready_to_sign")
    assert other.address in panel.preview


def test_declining_to_connect_is_no_error(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.reject()
    panel.wait_for("rejected_connect")
    assert "notice--error" not in str(panel.browser.see("error").get_attribute("class"))
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (-32002, "request_pending"),
        (4100, "wallet_locked"),
        (4900, "wallet_disconnected"),
        (4200, "connect_failed"),
    ],
)
def test_each_wallet_error_is_explained_with_a_next_step(
    panel: ConnectPanel, wallet: WalletInPage, code: int, state: str
) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.fail(code)
    panel.wait_for(state)
    assert panel.row(wallet).is_enabled()
    panel.retry()
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_technical_error_of_a_wallet_can_be_unfolded(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.fail(-32603, "some\u202e <b>internal</b> thing")
    panel.wait_for("connect_failed")
    details = panel.browser.see("technical")
    details.find_element(By.TAG_NAME, "summary").click()
    assert details.find_element(By.TAG_NAME, "code").text == "-32603 · “some <b>internal</b> thing”"


def test_a_wallet_without_accounts_says_so(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.answer([])
    panel.wait_for("no_accounts")
    panel.retry()
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_an_answer_that_holds_no_accounts_is_refused(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.answer(["nonsense"])
    panel.wait_for("connect_failed")


def test_user_chooses_among_several_accounts(browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    wallet = make_wallet(accounts=3)
    panel.connect(wallet, until="choose_account")
    options = [option for option in browser.all("account-option") if option.is_displayed()]
    assert len(options) == 3
    options[1].click()
    panel.wait_for("ready_to_sign")
    assert wallet.keys[1].address in panel.preview
    panel.sign()
    wallet.approve_sign(key=wallet.keys[1])
    browser.arrive_at("/session")
    assert wallet.keys[1].address in browser.text


# -- Networks ------------------------------------------------------------------------------------------


def test_on_a_strange_network_the_page_names_those_it_accepts(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet
) -> None:
    wallet = make_wallet(chain=5)
    panel.connect(wallet, until="wrong_network")
    assert "(number 5)" in panel.error
    offers = [offer.text for offer in browser.all("switch-network")]
    assert any("Ethereum Mainnet" in offer for offer in offers)
    assert any("Sepolia" in offer and "Testnet" in offer for offer in offers)
    browser.all("switch-network")[1].click()
    panel.wait_for("switching")
    wallet.approve_switch()
    panel.wait_for("ready_to_sign")
    assert "Chain ID: 10" in panel.preview


@pytest.mark.parametrize(
    ("code", "wrapped", "state"),
    [
        (4001, False, "switch_rejected"),
        (4902, False, "unknown_chain"),
        (4902, True, "unknown_chain"),
        (4200, False, "switch_unsupported"),
        (-32002, False, "request_pending"),
    ],
)
def test_each_failed_network_switch_offers_a_next_step(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet, code: int, wrapped: bool, state: str
) -> None:
    wallet = make_wallet(chain=5)
    panel.connect(wallet, until="wrong_network")
    browser.all("switch-network")[0].click()
    wallet.fail(code, wrapped=wrapped)
    panel.wait_for(state)
    # Switched by hand, in the wallet: the page goes on by itself.
    wallet.switch_chain(1)
    panel.wait_for("ready_to_sign")


def test_a_wallet_without_events_is_asked_again_on_a_click(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet
) -> None:
    wallet = make_wallet(chain=5)
    panel.connect(wallet, until="wrong_network")
    browser.run("window.walletsInPage[arguments[0]].chainId = '0x1'", wallet.key)
    browser.click("recheck")
    panel.wait_for("ready_to_sign")


def test_a_change_of_network_before_signing_gets_a_new_text(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    before = panel.preview
    wallet.switch_chain(11155111)
    panel.browser.wait(lambda: "Chain ID: 11155111" in panel.preview, "the text stayed")
    assert panel.preview != before
    assert "so this is a new message" in panel.browser.text
    wallet.switch_chain(424242)
    panel.wait_for("wrong_network")


# -- Accounts that change --------------------------------------------------------------------------------


def test_a_new_account_in_the_wallet_is_offered_never_taken(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    panel.connect(wallet)
    new = wallet.switch_account()
    panel.wait_for("account_switched")
    assert browser.shown("message-preview") is None
    assert browser.shown("keep-account") is None, "the old account is not connected any more"
    panel.retry()
    panel.wait_for("ready_to_sign")
    assert new in panel.preview


def test_the_first_account_can_be_kept_while_it_is_connected(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    old = wallet.address
    panel.connect(wallet)
    wallet.switch_account(keep=True)
    panel.wait_for("account_switched")
    browser.click("keep-account")
    panel.wait_for("ready_to_sign")
    assert old in panel.preview


def test_signature_requested_before_a_switch_is_discarded(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    """The user switches the account in the wallet while it is asked to sign."""
    panel.connect(wallet)
    panel.sign()
    request_ = wallet.next_request("personal_sign")
    text, signature = wallet._sign(request_, wallet.keys[0])
    wallet.switch_account()
    panel.wait_for("account_switched")
    wallet._settle(request_, result=signature)
    assert panel.state == "account_switched"
    assert panel.hidden_fields["signature"] == ""
    assert text


def test_a_wallet_that_locks_is_asked_to_unlock(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    wallet.lock()
    panel.wait_for("wallet_locked")
    panel.retry()
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_a_silent_switch_is_noticed_before_signing(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    wallet.switch_account_silently()
    panel.sign()
    panel.wait_for("address_mismatch")
    assert "personal_sign" not in wallet.calls
    panel.retry()
    panel.wait_for("ready_to_sign")
    assert wallet.address in panel.preview


# -- Signing ---------------------------------------------------------------------------------------------


def test_declined_signature_is_no_error_and_gets_a_new_text(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    """The button reads "Try again" and signs a new message."""
    panel.connect(wallet)
    first = panel.preview
    panel.sign()
    wallet.reject()
    panel.wait_for("rejected_sign")
    assert "notice--error" not in str(browser.see("error").get_attribute("class"))
    assert browser.see("sign-button").text == "Try again"
    panel.sign()
    assert wallet.approve_sign() != first
    browser.arrive_at("/session")


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (-32002, "request_pending"),
        (4100, "wallet_locked"),
        (4200, "sign_unsupported"),
        (4900, "wallet_disconnected"),
        (-32603, "sign_failed"),
    ],
)
def test_each_signing_failure_is_explained(panel: ConnectPanel, wallet: WalletInPage, code: int, state: str) -> None:
    panel.connect(wallet)
    panel.sign()
    wallet.fail(code)
    panel.wait_for(state)
    assert panel.error


def test_cancel_while_signing_forgets_the_signature(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    panel.connect(wallet)
    panel.sign()
    wallet.stall()
    assert panel.state == "signing"
    assert browser.see("sign-button").get_attribute("aria-busy") == "true"
    panel.cancel()
    panel.wait_for("wallet_list")
    wallet.answer_late()
    assert panel.state == "wallet_list"
    assert panel.hidden_fields["signature"] == ""
    assert browser.path == "/sign-in"


def test_wrong_key_is_refused_and_the_form_choices_are_kept(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    """The chosen wallet, "remember me" and the return path survive the refused attempt."""
    make_wallet("Other Wallet")
    panel.open(next="/?from=here")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    browser.click("remember")
    panel.sign()
    wallet.approve_sign(key=Account.create())
    panel.wait_for("bad_signature")
    assert browser.focused.text == "The signature doesn’t match this account"
    assert panel.row(wallet).get_attribute("data-chosen") is not None
    assert browser.shown("server-code") is not None
    panel.retry()
    panel.wait_for("ready_to_sign")
    assert browser.see("remember").is_selected()
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/")
    assert browser.path == "/?from=here"


def test_an_expired_text_is_replaced_with_one_click(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    panel.connect(wallet)
    panel.sign()
    wallet.stall()
    pass_time(301)
    wallet.answer_late()
    panel.wait_for("nonce_expired")
    panel.retry()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_text_about_to_expire_is_replaced_before_signing(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    """The wallet sees only the new text."""
    with browser.before_scripts(LATER):
        panel.connect(wallet)
    first = panel.preview
    browser.run("window.later = 280_000")
    panel.sign()
    assert wallet.approve_sign() != first
    browser.arrive_at("/session")


def test_a_signature_that_comes_after_the_end_is_not_sent(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    with browser.before_scripts(LATER):
        panel.connect(wallet)
    panel.sign()
    wallet.stall()
    browser.run("window.later = 310_000")
    wallet.answer_late()
    panel.wait_for("nonce_expired")
    panel.retry()
    panel.wait_for("ready_to_sign")


# The driver waits for a page that is on its way, so the page itself presses Cancel.
CANCEL_WHILE_VERIFYING = """
    new MutationObserver(() => {
      const panel = document.getElementById("connect");
      if (panel?.dataset.state !== "verifying" || sessionStorage.spoken) return;
      sessionStorage.spoken = panel.querySelector("[role=status]").textContent;
      const buttons = Array.from(panel.querySelectorAll("[data-testid=connect-cancel]"));
      setTimeout(() => buttons.find((button) => button.checkVisibility()).click(), 100);
    }).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-state"] });
"""


def test_cancel_while_the_server_checks_shows_how_things_stand(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, hold: Hold
) -> None:
    hold("/sign-in", "POST")
    with browser.before_scripts(CANCEL_WHILE_VERIFYING):
        panel.connect(wallet)
        panel.sign()
        wallet.approve_sign()
        panel.wait_for("wallet_list")
    hold.release()
    assert browser.run("return sessionStorage.spoken").startswith("Checking your signature.")
    assert browser.path == "/sign-in"


# -- The server ----------------------------------------------------------------------------------------------


def test_too_many_attempts_count_down_and_then_go_on(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, interrupt: Interruption
) -> None:
    interrupt.answers[CHALLENGES] = lambda: (*refusal("rate_limited", 429), {"Retry-After": "2"})
    panel.connect(wallet, until="rate_limited")
    assert re.search(r"Wait [12]\ss, then try again", panel.error)
    assert browser.see("retry").get_attribute("aria-disabled") == "true"
    assert browser.see("chosen-wallet").text.startswith("Test Wallet")
    interrupt.answers.clear()
    browser.wait(lambda: browser.see("retry").get_attribute("aria-disabled") is None, "never to be pressed")
    assert panel.spoken == "You can try again now."
    panel.retry()
    panel.wait_for("ready_to_sign")


def test_a_lost_connection_keeps_the_choice(browser: Browser, panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.choose(wallet)
    browser.offline()
    wallet.approve_connect()
    panel.wait_for("server_unreachable")
    browser.online()
    panel.retry()
    panel.wait_for("ready_to_sign")


def test_a_store_that_is_gone_refuses_and_recovers(
    app: Flask, browser: Browser, panel: ConnectPanel, wallet: WalletInPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise errors.StoreUnavailable("test", retry_after=1)

    challenges = type(app.extensions["sessions_core"].challenges)
    panel.connect(wallet)
    panel.sign()
    with monkeypatch.context() as patch:
        patch.setattr(challenges, "redeem", gone)
        wallet.approve_sign()
        panel.wait_for("server_unreachable")
    panel.retry()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_an_answer_that_makes_no_sense_is_no_text_to_sign(
    panel: ConnectPanel, wallet: WalletInPage, interrupt: Interruption
) -> None:
    interrupt.answers[CHALLENGES] = lambda: refusal("account_malformed", 400)
    panel.connect(wallet, until="nonce_failed")
    interrupt.answers.clear()
    panel.retry()
    panel.wait_for("ready_to_sign")


def test_a_network_that_the_server_refuses_is_the_wrong_one(
    panel: ConnectPanel, wallet: WalletInPage, interrupt: Interruption
) -> None:
    interrupt.answers[CHALLENGES] = lambda: refusal("chain_unsupported", 400)
    panel.connect(wallet, until="wrong_network")


def test_a_text_for_another_account_is_not_shown(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, interrupt: Interruption, site: Site
) -> None:
    other = Account.create().address
    interrupt.answers[CHALLENGES] = lambda: (
        jsonify(
            success=True,
            data={
                "message": f"{site.origin} wants you to sign in with your Ethereum account:\n{other}\n\nURI: x",
                "challenge": "c",
                "expires_at": "2026-01-01T00:00:00.000Z",
                "account": f"eip155:1:{other}",
            },
        ),
        201,
    )
    panel.connect(wallet, until="text_changed")
    assert browser.shown("message-preview") is None


def test_a_text_that_names_another_address_is_not_signed(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, site: Site
) -> None:
    site.renamed = True
    browser.driver.get(site.origin.replace("localhost", "127.0.0.1") + "/sign-in")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("domain_mismatch")
    assert site.origin in panel.error
    assert browser.shown("sign-button") is None


# -- The page itself -------------------------------------------------------------------------------------------


def test_page_without_script_explains_the_need(browser: Browser, panel: ConnectPanel) -> None:
    browser.scripts(on=False)
    panel.open(next="/session")
    notice = browser.driver.find_element(By.CSS_SELECTOR, '[data-testid="no-script"]')
    assert "Signing in needs JavaScript" in notice.text
    assert notice.find_element(By.TAG_NAME, "a").get_attribute("href") == browser.origin + "/sign-in?next=/session"
    assert not browser.driver.find_element(By.CSS_SELECTOR, "#connect form").is_displayed()
    assert browser.shown("script-late") is None


def test_plain_http_is_refused_and_the_right_address_named(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, site: Site
) -> None:
    """No wallet is listed or asked."""
    site.renamed = True
    browser.expected_complaints += ["Cross-Origin-Opener-Policy", "insecure"]
    browser.driver.get(site.origin.replace("localhost", "wallet.test") + "/sign-in")
    panel.wait_for("insecure_context")
    assert site.origin in panel.error
    assert panel.rows == []
    assert wallet.calls == []


def test_signed_in_user_can_continue_or_switch_account(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    browser.sign_in(wallet)
    panel.open()
    panel.wait_for("already_signed_in")
    assert browser.see("continue").get_attribute("href") == browser.origin + "/session"
    browser.click("another-account")
    panel.wait_for("wallet_list")
    other = wallet.switch_account()
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
    assert other in browser.text


def test_a_sign_in_in_another_tab_shows_here(browser: Browser, panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.open()
    panel.wait_for("wallet_list")
    browser.new_tab()
    here = WalletInPage(browser.driver)
    browser.sign_in(here)
    browser.switch_to(browser.home)
    panel.wait_for("success")


def test_page_explains_why_the_session_ended(
    browser: Browser, panel: ConnectPanel, end: Callable[[str], None]
) -> None:
    panel.open(reason="idle")
    assert browser.shown("notice") is None, "the address alone says nothing"
    end("idle")
    panel.open(reason="revoked")
    assert "You were inactive for 30 minutes" in browser.see("notice").text


def test_page_names_the_time_limit_beforehand(browser: Browser, panel: ConnectPanel) -> None:
    panel.open()
    words = "If you’re inactive for 30 minutes, we’ll sign you out. We’ll warn you first."
    assert browser.see("limits").text == words


def test_a_page_from_the_back_forward_cache_starts_afresh(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    panel.connect(wallet)
    browser.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    panel.wait_for("wallet_list")
    assert panel.hidden_fields["message"] == ""
