"""A session whose wallet goes elsewhere: the page says so, leaves the choice to the person, and asks nobody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from eth_account import Account
from flask import Flask, render_template_string
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sessions_core import public

from .clocks_in_page import WATCH, asked
from .pages import Browser, ConnectPanel
from .session_page import ask_to_stay, turn
from .wallet_in_page import MakeWallet, WalletInPage
from .wallet_watch import notices, other_tab, short, state, wait_for

# Notes each state of the element and each sentence that it speaks, from the first on.
NOTES = """
window.states = [];
window.sentences = [];
window.changes = 0;
document.addEventListener("DOMContentLoaded", () => {
  const watch = document.querySelector("wallet-watch"), speech = watch.querySelector("[role=status]");
  new MutationObserver(() => states.push(watch.dataset.state)).observe(watch, { attributeFilter: ["data-state"] });
  new MutationObserver(() => sentences.push(speech.textContent)).observe(speech, { childList: true });
  new MutationObserver((records) => { changes += records.length; })
    .observe(document, { attributes: true, childList: true, characterData: true, subtree: true });
});
"""


def stored(browser: Browser) -> dict[str, str]:
    """What is kept, but for the note of whose session it is."""
    kept = dict(browser.run("return { ...localStorage, ...sessionStorage }"))
    return {key: value for key, value in kept.items() if key != "wallet-session-account"}


def let_it_look(browser: Browser, wallet: WalletInPage) -> None:
    """Come back to the tab twice: looks come one after another, so when the second one asks, the first is shown."""
    for _ in range(2):
        asked_before = len(wallet.calls)
        turn(browser, hidden=False)
        browser.wait(lambda before=asked_before: len(wallet.calls) > before, "it did not look")


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Browser:
    """A browser whose person is signed in, and whose wallet is where it was then."""
    browser.enter(wallet)
    wait_for(browser, "watching")
    return browser


@pytest.fixture
def noted(session: Browser) -> Iterator[Browser]:
    """The same, on a page that notes what happens to the element."""
    with session.before_scripts(NOTES):
        session.driver.refresh()
        wait_for(session, "watching")
        yield session


def announced(provider: str) -> str:
    detail = f"{{ info: {{ uuid: 'odd', name: 'Test Wallet', icon: '', rdns: 'org.odd' }}, provider: {provider} }}"
    return (
        f"{{ const detail = {detail};"
        "const announce = () => dispatchEvent(new CustomEvent('eip6963:announceProvider', { detail }));"
        "addEventListener('eip6963:requestProvider', announce); }"
    )


# -- Nothing to say --------------------------------------------------------------------------------------------


def test_unchanged_wallet_shows_no_notice(session: Browser, wallet: WalletInPage) -> None:
    assert notices(session) == []
    assert session.run(
        "return document.querySelector('main').getBoundingClientRect().top"
        " === document.querySelector('.site-header').getBoundingClientRect().bottom"
    ), "it takes room"
    assert set(wallet.calls) == {"eth_accounts", "eth_chainId"}
    assert stored(session) == {}


def test_no_event_opens_a_window_of_the_wallet(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_account()
    wait_for(session, "account_changed")
    session.click("keep-account")
    wait_for(session, "watching")
    wallet.lock()
    wallet.switch_chain(10)
    turn(session, hidden=True)
    turn(session, hidden=False)
    session.open("/")
    wait_for(session, "watching")
    assert set(wallet.calls) == {"eth_accounts", "eth_chainId"}
    assert wallet.waiting == []


def test_watching_the_wallet_sends_no_request(session: Browser, wallet: WalletInPage) -> None:
    with session.before_scripts(WATCH):
        session.open("/session")
        wait_for(session, "watching")
    wallet.switch_account()
    wait_for(session, "account_changed")
    wallet.switch_chain(10)
    session.run("document.querySelector('[data-testid=keep-account]').click()")
    wait_for(session, "watching")
    assert asked(session) == []


def test_the_sign_in_page_and_a_visitor_have_none(browser: Browser, wallet: WalletInPage) -> None:
    browser.open("/")
    assert state(browser) is None
    assert not browser.driver.find_elements(By.TAG_NAME, "wallet-watch")
    browser.sign_in(wallet)
    panel = ConnectPanel(browser)
    panel.open(again="1")
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    assert not browser.driver.find_elements(By.TAG_NAME, "wallet-watch")
    assert not browser.run("return Boolean(customElements.get('wallet-watch'))")
    panel.sign()
    wallet.approve_sign(key=Account.create())
    panel.wait_for("bad_signature")
    assert not browser.driver.find_elements(By.TAG_NAME, "wallet-watch")


def test_page_that_opts_out_has_no_wallet_watch(app: Flask, browser: Browser, wallet: WalletInPage) -> None:
    """A page that sets `watches_wallet` to false brings its own element for the wallet."""
    page = '{% extends "sessions/base.html" %}{% set watches_wallet = false %}{% block main %}{% endblock %}'
    app.add_url_rule("/own", view_func=public(lambda: render_template_string(page)), endpoint="own")
    browser.sign_in(wallet)
    browser.open("/own")
    browser.wait_for_session("active")
    assert not browser.driver.find_elements(By.TAG_NAME, "wallet-watch")


def test_without_script_nothing_shows(session: Browser) -> None:
    session.scripts(on=False)
    session.driver.refresh()
    assert session.driver.find_elements(By.TAG_NAME, "wallet-watch")
    assert notices(session) == []


# -- Another account -------------------------------------------------------------------------------------------


def test_other_account_notice_offers_both_accounts(session: Browser, wallet: WalletInPage) -> None:
    session.open("/session", at="here")
    wait_for(session, "watching")
    mine = wallet.address
    other = wallet.switch_account()
    wait_for(session, "account_changed")
    (notice,) = notices(session)
    assert notice.aria_role == "region"
    assert notice.accessible_name == "Your wallet switched to another account"
    assert f"still signed in as {short(mine)}" in notice.text
    assert session.see("keep-account").text == f"Stay signed in as {short(mine)}"
    link = session.see("sign-in-as-other")
    assert link.text == f"Sign in as {short(other)}"
    target = urlsplit(str(link.get_attribute("href")))
    assert target.path == "/sign-in"
    assert parse_qs(target.query) == {"again": ["1"], "next": ["/session?at=here"]}


def test_page_after_a_form_is_no_return_path(session: Browser, wallet: WalletInPage) -> None:
    session.run("for (const field of document.getElementsByName('csrf_token')) field.value = 'stale'")
    session.click("sign-out")
    session.wait(lambda: "That form has expired" in session.text, lambda: session.text)
    wait_for(session, "watching")
    wallet.switch_account()
    target = urlsplit(str(session.see("sign-in-as-other").get_attribute("href")))
    assert parse_qs(target.query) == {"again": ["1"]}


def test_signing_in_as_the_other_leads_back_to_the_same_page(session: Browser, wallet: WalletInPage) -> None:
    session.open("/", at="here")
    wait_for(session, "watching")
    other = wallet.switch_account()
    session.follow("sign-in-as-other")
    panel = ConnectPanel(session)
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    session.wait(lambda: session.path == "/?at=here", lambda: session.path)
    wait_for(session, "watching")
    assert short(other) in session.text
    assert notices(session) == []


def test_staying_is_remembered_on_every_page_of_the_tab(session: Browser, wallet: WalletInPage) -> None:
    mine = wallet.address
    other = wallet.switch_account()
    session.click("keep-account")
    wait_for(session, "watching")
    for path in ("/", "/session", "/nowhere"):
        session.open(path)
        wait_for(session, "watching")
        assert notices(session) == []
    assert stored(session) == {"wallet-session-kept": f"eip155:1:{short(mine)} {short(other)}".lower()}


def test_staying_answers_for_one_account_only(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_account()
    session.click("keep-account")
    wait_for(session, "watching")
    third = wallet.switch_account()
    wait_for(session, "account_changed")
    assert session.see("sign-in-as-other").text == f"Sign in as {short(third)}"
    session.click("keep-account")
    wait_for(session, "watching")
    assert len(stored(session)["wallet-session-kept"].split()) == 3


def test_dismissed_notice_applies_to_one_account_only(session: Browser, wallet: WalletInPage) -> None:
    """ "Keep this account" for one pair of accounts hides no notice for another pair."""
    wallet.switch_account()
    session.click("keep-account")
    wait_for(session, "watching")
    answered = wallet.keys
    wallet.switch_account()
    session.sign_in(wallet, again="1")
    wait_for(session, "watching")
    switch_to(wallet, answered)
    wait_for(session, "account_changed")


def switch_to(wallet: WalletInPage, keys: list[Any]) -> None:
    wallet.keys = keys
    wallet._tell("wallet.accounts = value; wallet.emit('accountsChanged', value)", wallet.addresses)
    wallet.install()


def test_notice_closes_when_the_sessions_account_is_back(session: Browser, wallet: WalletInPage) -> None:
    before = wallet.keys
    for _ in range(2):
        wallet.switch_account()
        wait_for(session, "account_changed")
        switch_to(wallet, before)
        wait_for(session, "watching")
        assert notices(session) == []


def test_connected_account_that_is_not_active_is_noticed(session: Browser, wallet: WalletInPage) -> None:
    """The account of the session stays connected, but the wallet's active account is another."""
    wallet.switch_account(keep=True)
    wait_for(session, "account_changed")
    session.driver.refresh()
    wait_for(session, "account_changed")


def test_an_account_chosen_at_sign_in_is_no_switch(browser: Browser, make_wallet: MakeWallet) -> None:
    wallet = make_wallet(accounts=3)
    panel = ConnectPanel(browser)
    panel.connect(wallet, until="choose_account")
    [option for option in browser.all("account-option") if option.is_displayed()][1].click()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign(key=wallet.keys[1])
    browser.arrive_at("/session")
    for path in ("/session", "/"):
        browser.open(path)
        wait_for(browser, "watching")
    one, two, three = wallet.keys
    switch_to(wallet, [three, one, two])
    wait_for(browser, "account_changed")
    switch_to(wallet, [two, one, three])
    wait_for(browser, "watching")


def test_a_locked_wallet_has_not_switched(noted: Browser, wallet: WalletInPage) -> None:
    wallet.lock()
    wallet.switch_chain(10)
    let_it_look(noted, wallet)
    assert noted.run("return states") == ["watching"]
    noted.open("/")
    wait_for(noted, "watching")
    assert noted.run("return states") == ["watching"]
    assert notices(noted) == []


def test_a_wallet_that_is_locked_takes_its_notice_away(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_account()
    wait_for(session, "account_changed")
    wallet.lock()
    wait_for(session, "watching")
    wallet.connected = True
    wallet._tell("wallet.connected = true; wallet.emit('accountsChanged', wallet.accounts)", None)
    wait_for(session, "account_changed")


def test_address_in_another_case_is_the_same_account(noted: Browser, wallet: WalletInPage) -> None:
    wallet._tell("wallet.emit('accountsChanged', value)", [wallet.address])
    wallet._tell("wallet.emit('accountsChanged', value)", ["0x" + wallet.address[2:].upper()])
    wallet.switch_chain(10)
    wait_for(noted, "network_changed")
    assert noted.run("return states") == ["watching", "network_changed"]


# -- Another network -------------------------------------------------------------------------------------------


def test_other_network_is_noticed_and_changes_nothing(session: Browser, wallet: WalletInPage) -> None:
    before = session.see("session-network").text
    wallet.switch_chain(11155111)
    wait_for(session, "network_changed")
    (notice,) = notices(session)
    assert notice.aria_role == "region"
    assert notice.accessible_name == "Your wallet is on another network"
    assert "You signed in on Ethereum Mainnet" in notice.text
    assert session.see("session-network").text == before
    session.driver.refresh()
    wait_for(session, "network_changed")
    assert session.see("session-network").text == before
    wallet.switch_chain(1)
    wait_for(session, "watching")
    assert notices(session) == []


def test_keeping_the_session_on_its_network_is_remembered(session: Browser, wallet: WalletInPage) -> None:
    mine = wallet.address
    wallet.switch_chain(10)
    session.click("keep-network")
    wait_for(session, "watching")
    session.open("/")
    wait_for(session, "watching")
    assert stored(session) == {"wallet-session-kept": f"eip155:1:{short(mine)} eip155:10".lower()}
    wallet.switch_chain(137)
    wait_for(session, "network_changed")


def test_a_network_that_cannot_be_told_is_no_other(
    session: Browser, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    wallet.uninstall()
    odd = make_wallet("Test Wallet", quirks={"eth_chainId": {"result": "mainnet"}})
    odd.keys, odd.connected = wallet.keys, True
    odd.install()
    with session.before_scripts(NOTES):
        session.driver.refresh()
        wait_for(session, "watching")
    for chain in (None, "", "0x", "0xzz", -1, 0, 1.5, [], {}, "9" * 1000):
        odd._tell("wallet.emit('chainChanged', value)", chain)
    odd.switch_chain(10)
    wait_for(session, "network_changed")
    odd._tell("wallet.emit('chainChanged', value)", {"chainId": "0x1"})
    let_it_look(session, odd)
    odd.switch_account()
    wait_for(session, "account_changed")
    assert session.run("return states") == ["watching", "network_changed", "account_changed"]


def test_signing_again_makes_a_session_of_the_other_network(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_chain(11155111)
    target = urlsplit(str(session.see("sign-for-other-network").get_attribute("href")))
    assert (target.path, parse_qs(target.query)) == ("/sign-in", {"again": ["1"], "next": ["/session"]})
    session.follow("sign-for-other-network")
    panel = ConnectPanel(session)
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    session.arrive_at("/session")
    wait_for(session, "watching")
    assert session.see("session-network").get_attribute("data-network") == "testnet"
    wallet.switch_chain(1)
    wait_for(session, "network_changed")


def test_account_notice_takes_precedence_over_the_network(session: Browser, wallet: WalletInPage) -> None:
    before = wallet.keys
    wallet.switch_chain(10)
    wait_for(session, "network_changed")
    wallet.switch_account()
    wait_for(session, "account_changed")
    assert len(notices(session)) == 1
    switch_to(wallet, before)
    wait_for(session, "network_changed")


# -- Wallets that switch without a word ------------------------------------------------------------------------


def test_a_silent_switch_is_found_when_the_page_loads(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_account_silently()
    session.open("/")
    wait_for(session, "account_changed")


def test_silent_switch_is_found_when_the_tab_is_seen_again(session: Browser, wallet: WalletInPage) -> None:
    turn(session, hidden=True)
    before = wallet.keys
    wallet.switch_account_silently()
    turn(session, hidden=False)
    wait_for(session, "account_changed")
    wallet.keys = before
    wallet._tell("wallet.accounts = value", wallet.addresses)
    # The wallet's own window takes the focus, not the place, of the page.
    session.look_again()
    wait_for(session, "watching")


def test_silent_switch_is_found_on_a_page_from_the_cache(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_account_silently()
    session.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    wait_for(session, "account_changed")


SLOW_PROVIDER = """{
  request: ({ method }) => method === "eth_chainId" ? Promise.resolve("0x1")
    : new Promise((resolve) => (window.answers ??= []).push(resolve)),
  on: (event, run) => { (window.listeners ??= {})[event] = run; },
}"""


def test_a_report_is_newer_than_the_answer_to_an_older_question(session: Browser, wallet: WalletInPage) -> None:
    wallet.uninstall()
    with session.before_scripts(NOTES + announced(SLOW_PROVIDER)):
        session.driver.refresh()
        session.wait(lambda: session.run("return window.answers?.length") == 1, "it never asked")
    session.run("listeners.accountsChanged(arguments[0])", [Account.create().address])
    wait_for(session, "account_changed")
    session.look_again()
    session.run("answers[0](arguments[0])", wallet.addresses)
    session.wait(lambda: session.run("return answers.length") == 2, "it never asked again")
    assert session.run("return states") == ["account_changed"]
    session.run("answers[1](arguments[0])", wallet.addresses)
    wait_for(session, "watching")


# -- Which wallet ----------------------------------------------------------------------------------------------


def test_other_wallets_are_not_watched(session: Browser, wallet: WalletInPage, make_wallet: MakeWallet) -> None:
    other = make_wallet("Other Wallet", chain=10)
    other.connected = True
    other.install()
    session.driver.refresh()
    wait_for(session, "watching")
    other.switch_account()
    let_it_look(session, wallet)
    assert other.calls == []
    assert state(session) == "watching"


def test_without_the_wallet_nothing_is_said_until_it_comes(
    session: Browser, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    wallet.uninstall()
    other = make_wallet("Other Wallet")
    other.connected = True
    other.install()
    late = make_wallet("Test Wallet", announce="later")
    late.connected = True
    late.install()
    session.driver.refresh()
    wait_for(session, "no_wallet")
    assert notices(session) == []
    late.announce()
    wait_for(session, "account_changed")


def test_a_wallet_no_longer_watched_is_not_heard(
    session: Browser, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    twin = make_wallet("Test Wallet", announce="later")
    with session.before_scripts(NOTES):
        session.driver.refresh()
        wait_for(session, "watching")
    # A wallet that does not let go of its listeners.
    wallet._tell("window.listeners = [...wallet.listeners.accountsChanged]", None)
    twin.announce()
    wait_for(session, "twins")
    session.run("for (const listener of listeners) listener(arguments[0])", [Account.create().address])
    session.click("keep-twins")
    wait_for(session, "no_wallet")
    assert session.run("return states") == ["watching", "twins", "no_wallet"]


@pytest.mark.parametrize("others", [0, 1])
def test_nameless_wallet_is_watched_only_if_it_is_alone(
    browser: Browser, make_wallet: MakeWallet, others: int
) -> None:
    """It is watched while no other wallet is connected."""
    wallet = make_wallet(" \u200b ")
    panel = ConnectPanel(browser)
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
    idle = make_wallet("Idle Wallet")
    for number in range(others):
        other = make_wallet(f"Other Wallet {number}")
        other.connected = True
        other.install()
    browser.driver.refresh()
    wait_for(browser, "no_wallet" if others else "watching")
    assert set(idle.calls) == {"eth_accounts"}
    wallet.switch_account()
    if not others:
        wait_for(browser, "account_changed")
    assert len(notices(browser)) == 1 - others


def test_a_wallet_that_announces_nothing_is_watched_too(browser: Browser, make_wallet: MakeWallet) -> None:
    old = make_wallet("unused", legacy=True)
    panel = ConnectPanel(browser)
    panel.open()
    panel.wait_for("wallet_list")
    panel.rows[0].click()
    old.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    old.approve_sign()
    browser.arrive_at("/session")
    wait_for(browser, "watching")
    old.switch_account()
    wait_for(browser, "account_changed")


def test_an_account_of_another_family_is_not_compared(session: Browser, wallet: WalletInPage) -> None:
    session.run(
        "const watch = document.querySelector('wallet-watch').cloneNode(true);"
        "watch.removeAttribute('data-state');"
        "watch.dataset.account = arguments[0];"
        "document.querySelector('wallet-watch').replaceWith(watch)",
        "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaKv",
    )
    wait_for(session, "no_wallet")
    assert notices(session) == []


# -- Tabs and Back ---------------------------------------------------------------------------------------------


def test_each_tab_has_its_own_notice_and_answer(session: Browser, wallet: WalletInPage) -> None:
    with other_tab(session, wallet, "/session") as twin:
        wait_for(session, "watching")
        session.switch_to(session.home)
        wallet.switch_account()
        session.click("keep-account")
        wait_for(session, "watching")
        session.switch_to(session.driver.window_handles[-1])
        switch_to(twin, wallet.keys)
        wait_for(session, "account_changed")
        assert stored(session) == {}


def test_signing_in_as_the_other_account_clears_all_notices(session: Browser, wallet: WalletInPage) -> None:
    """A sign-in in one tab removes the notice in the other tab."""
    other = wallet.switch_account()
    wait_for(session, "account_changed")
    with other_tab(session, wallet, "/session") as twin:
        wait_for(session, "account_changed")
        session.follow("sign-in-as-other")
        panel = ConnectPanel(session)
        panel.choose(twin)
        panel.wait_for("ready_to_sign")
        panel.sign()
        twin.approve_sign()
        session.arrive_at("/session")
        wait_for(session, "watching")
        session.switch_to(session.home)
        wait_for(session, "watching")
        assert other in session.text


def test_back_button_respects_a_later_answer(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_account()
    wait_for(session, "account_changed")
    session.open("/")
    session.click("keep-account")
    wait_for(session, "watching")
    session.driver.back()
    session.arrive_at("/session")
    wait_for(session, "watching")
    assert notices(session) == []


def test_back_button_shows_the_newly_signed_in_account(session: Browser, wallet: WalletInPage) -> None:
    """After signing in as the other account, going back shows no notice and no page of the first account."""
    other = wallet.switch_account()
    session.follow("sign-in-as-other")
    panel = ConnectPanel(session)
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    session.arrive_at("/session")
    session.driver.execute_script("history.go(-2)")
    session.wait(lambda: state(session) == "watching" and other in session.text, lambda: session.text)
    assert notices(session) == []


# -- For everybody ---------------------------------------------------------------------------------------------


def test_account_switch_is_announced_once_as_a_sentence(noted: Browser, wallet: WalletInPage) -> None:
    mine, other = wallet.address, wallet.switch_account()
    wait_for(noted, "account_changed")
    noted.look_again()
    wallet._tell("for (let n = 0; n < 9; n += 1) wallet.emit('accountsChanged', wallet.accounts)", None)
    noted.click("keep-account")
    wait_for(noted, "watching")
    first = f"Your wallet switched to {short(other)}. You’re still signed in as {short(mine)}."
    assert noted.run("return sentences") == [first, ""]


def test_network_switch_is_announced_too(noted: Browser, wallet: WalletInPage) -> None:
    wallet.switch_chain(10)
    wait_for(noted, "network_changed")
    sentence = "Your wallet is on another network. You signed in on Ethereum Mainnet."
    assert noted.run("return sentences") == [sentence]


def test_the_focus_stays_where_it_is(session: Browser, wallet: WalletInPage) -> None:
    session.run("document.querySelector('[data-testid=extend]').focus()")
    before = wallet.keys
    wallet.switch_account()
    wait_for(session, "account_changed")
    assert session.focused.get_attribute("data-testid") == "extend"
    switch_to(wallet, before)
    wait_for(session, "watching")
    assert session.focused.get_attribute("data-testid") == "extend"


def test_the_keyboard_answers_and_goes_on_at_the_content(session: Browser, wallet: WalletInPage) -> None:
    wallet.switch_account()
    wait_for(session, "account_changed")
    session.run("document.querySelector('[data-testid=sign-in-as-other]').focus()")
    session.press(Keys.TAB)
    assert session.focused.get_attribute("data-testid") == "keep-account"
    session.press(Keys.ENTER)
    wait_for(session, "watching")
    assert session.focused.get_attribute("id") == "main"


def test_account_notice_passes_axe(session: Browser, wallet: WalletInPage, check: Callable[[str], None]) -> None:
    wallet.switch_account()
    for path in ("/session", "/", "/sign-out", "/nowhere"):
        session.open(path)
        wait_for(session, "account_changed")
        check(f"{path}, account_changed")
    session.click("keep-account")
    wait_for(session, "watching")
    check("watching")


def test_network_notice_passes_axe(session: Browser, wallet: WalletInPage, check: Callable[[str], None]) -> None:
    wallet.switch_chain(11155111)
    wait_for(session, "network_changed")
    check("network_changed")


# -- Hostile wallets -------------------------------------------------------------------------------------------

ANSWERS: dict[str, Any] = {
    "nothing": None,
    "a number": 7,
    "a text": "0x" + "ab" * 20,
    "an object": {"length": 1, "0": "0x" + "ab" * 20},
    "a list of numbers": [1, 2],
    "markup": ["<img src=x onerror=alert(1)>"],
    "half an address": ["0x12"],
    "a list in a list": [["0x" + "ab" * 20]],
    "a long text": ["0x" + "a" * 1_000_000],
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
def test_malformed_wallet_answer_shows_no_notice(
    session: Browser, wallet: WalletInPage, make_wallet: MakeWallet, answer: Any
) -> None:
    wallet.uninstall()
    quirks = {method: {"result": answer} for method in ("eth_accounts", "eth_chainId")}
    odd = make_wallet("Test Wallet", quirks=quirks)
    with session.before_scripts(NOTES):
        session.driver.refresh()
        wait_for(session, "watching")
    odd._tell("wallet.emit('accountsChanged', value); wallet.emit('chainChanged', value)", answer)
    # Proof that it went on listening: what comes after is understood.
    odd.switch_account()
    wait_for(session, "account_changed")
    assert session.run("return states") == ["watching", "account_changed"]


PROVIDERS = {
    "throws at once": "{ request() { throw new Error('no') }, on() { throw new Error('no') } }",
    "rejects with a trap": "{ request: () => Promise.reject({ get code() { throw new Error('trap') } }) }",
    "answers without a promise": "{ request: () => 7 }",
    "answers with a trap": "{ request: () => ({ get then() { throw new Error('trap') } }) }",
    "answers twice": "{ request: () => ({ then(yes, no) { yes([]); no(1); yes(7) } }) }",
    "is a function": "Object.assign(() => {}, { request: () => undefined, on: 'on' })",
    "hides its methods": "{ seen: 0, get request() { if (this.seen++) throw new Error('trap'); return () => {} } }",
    "hides its events": "{ request: async () => [], get on() { throw new Error('trap') } }",
    "has no events": "{ request: async () => [] }",
    "never answers": "{ request: () => new Promise(() => {}), on() {} }",
    "shares a list with a trap": "{ request: async () => ({ get length() { throw new Error('trap') } }) }",
    "shares accounts with a trap": "{ request: async () => new Proxy([], { get() { throw new Error('trap') } }) }",
    "shares more than anybody has": "{ request: async () => new Array(4294967295) }",
}


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))
def test_a_broken_wallet_breaks_nothing(session: Browser, wallet: WalletInPage, provider: str) -> None:
    wallet.uninstall()
    with session.before_scripts(announced(provider)):
        session.driver.refresh()
        wait_for(session, "watching")
    assert notices(session) == []
    ask_to_stay(session)


def test_a_wallet_that_never_answers_is_still_heard(
    session: Browser, wallet: WalletInPage, make_wallet: MakeWallet
) -> None:
    wallet.uninstall()
    deaf = make_wallet("Test Wallet", deaf=("eth_accounts", "eth_chainId"))
    session.driver.refresh()
    wait_for(session, "watching")
    assert deaf.calls == ["eth_accounts", "eth_chainId"]
    for _ in range(9):
        turn(session, hidden=False)
    deaf.switch_account()
    wait_for(session, "account_changed")
    # One question at a time, and one more for all that wanted to know meanwhile.
    assert len(deaf.calls) <= 6


def test_thousands_of_accounts_are_handled_as_one(session: Browser, wallet: WalletInPage) -> None:
    wallet._tell(
        "const many = Array.from({ length: 200_000 }, (_, n) => '0x' + String(n).padStart(40, '0'));"
        "wallet.accounts = [wallet.accounts[0], ...many];"
        "wallet.emit('accountsChanged', wallet.accounts)",
        None,
    )
    session.look_again()
    wallet.switch_chain(10)
    wait_for(session, "network_changed")
    wallet._tell("wallet.accounts.shift(); wallet.emit('accountsChanged', wallet.accounts)", None)
    wait_for(session, "account_changed")
    assert session.see("sign-in-as-other").text == "Sign in as 0x0000…0000"


def test_a_flood_of_events_is_one_notice(noted: Browser, wallet: WalletInPage) -> None:
    others = [Account.create().address for _ in range(5)]
    noted.run("changes = 0")
    wallet._tell(
        "for (let n = 0; n < 1000; n += 1) {"
        "  wallet.emit('accountsChanged', [value[n % 5]]);"
        "  wallet.emit('chainChanged', '0x' + (n + 2).toString(16));"
        "}",
        others,
    )
    wait_for(noted, "account_changed")
    assert noted.see("sign-in-as-other").text == f"Sign in as {short(others[999 % 5])}"
    assert noted.run("return states") == ["watching", "account_changed"]
    assert len(noted.run("return sentences")) == 1
    assert noted.run("return changes") < 20


def test_any_content_of_session_storage_is_tolerated(session: Browser, wallet: WalletInPage) -> None:
    for held in ("", " ", "{}", "eip155:1:", "x" * 100_000, json.dumps({"a": 1})):
        session.run("sessionStorage.setItem('wallet-session-kept', arguments[0])", held)
        wallet.switch_account()
        wait_for(session, "account_changed")
        session.click("keep-account")
        wait_for(session, "watching")


def test_without_storage_the_answer_lasts_for_the_page(session: Browser, wallet: WalletInPage) -> None:
    """Session storage is switched off in the browser."""
    broken = "Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('off') } })"
    with session.before_scripts(broken):
        session.driver.refresh()
        wait_for(session, "watching")
        wallet.switch_account()
        session.click("keep-account")
        wait_for(session, "watching")
