"""Each state of the sign-in panel begins with its one action in view, on laptops and on phones."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from selenium.webdriver.remote.webelement import WebElement

from .conftest import CHALLENGES, Interruption, refusal
from .pages import PHONE, Browser, ConnectPanel
from .panel_states import STATES, serve_states
from .trial_wallet import Trial
from .wallet_in_page import MakeWallet, WalletInPage

SCREENS = ((1280, 720), (1366, 768), (390, 844), (360, 640))
WITHOUT_WALLET = ("insecure_context", "cookies_blocked", "success")
# What the user presses next. Where a state is not listed, its error has a button for it.
ACTIONS = {
    **dict.fromkeys(("wallet_list", "rejected_connect", "sign_unsupported", "identity_unsupported"), "wallet-option"),
    **dict.fromkeys(("connecting", "connect_slow"), "connect-cancel"),
    **dict.fromkeys(("preparing", "ready_to_sign", "signing", "rejected_sign", "sign_failed"), "sign-button"),
    **dict.fromkeys(
        ("wrong_network", "switch_rejected", "unknown_chain", "switch_unsupported", "switch_unseen"), "switch-network"
    ),
    **dict.fromkeys(("no_wallet", "in_app_browser"), "try-without-wallet"),
    **dict.fromkeys(("wallet_gone", "share_unreadable"), "wallet-renew"),
    "choose_account": "account-option",
    "switching": "connect-cancel",
    "wallet_stale": "reload-page",
}
LINKS = ("domain_mismatch", "text_changed", "other_address", *WITHOUT_WALLET)
"""States whose way on is a link."""
IN_VIEW = """
    const [action] = arguments;
    const { top, bottom, left, right } = action.getClientRects()[0];
    const inside = top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
    const seen = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    // A deliberate button lets presses through for a second.
    const reached = action.contains(seen) || action.hasAttribute("data-deliberate");
    return inside && reached ? "" : `${Math.round(top)} to ${Math.round(bottom)} px`;
"""


@pytest.fixture(params=SCREENS, ids=lambda screen: "x".join(map(str, screen)))
def screen(request: pytest.FixtureRequest, browser: Browser) -> str:
    width, height = request.param
    browser.look(width=width, height=height)
    return f"{width}x{height}"


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()
    serve_states(app)
    return app


def action_of(browser: Browser, state: str) -> WebElement | None:
    """Return what the user presses next."""
    if state in LINKS:
        return browser.driver.find_element("css selector", f"[data-for~='{state}'] a")
    signing = state == "request_pending" and browser.shown("sign-button")
    return signing or browser.shown(ACTIONS.get(state, "retry"))


def out_of_view(browser: Browser, state: str) -> list[str]:
    """Return where the action of this state is, if it can't be seen as a whole."""
    action = browser.wait(lambda: action_of(browser, state), f"{state} has no action")
    place = browser.run(IN_VIEW, action)
    return [f"{state}: {place} of {browser.run('return innerHeight')}"] if place else []


def test_states_that_the_server_renders_begin_in_view(browser: Browser, wallet: WalletInPage, screen: str) -> None:
    """Below the notice that a session has ended, which is the longest page that there is."""
    panel, found = ConnectPanel(browser), []
    for state in STATES:
        if state == "choose_account":  # the wallet names them
            continue
        browser.open(f"/states/{state}")
        if state not in WITHOUT_WALLET:
            browser.wait(lambda: browser.run("return document.querySelector('[data-wallet-id]')"))
        panel.wait_for(state)
        found += out_of_view(browser, state)
    assert not found, f"{screen}: " + "; ".join(found)


def test_states_on_the_way_to_a_signature_begin_in_view(
    browser: Browser, make_wallet: MakeWallet, interrupt: Interruption, screen: str
) -> None:
    """The wallet's name is as long as a row can be."""
    wallet = make_wallet("Wallet " + "W" * 60, accounts=2)
    panel, found = ConnectPanel(browser), []

    def arrive(state: str) -> None:
        panel.wait_for(state)
        found.extend(out_of_view(browser, state))

    panel.open()
    arrive("wallet_list")
    panel.choose(wallet)
    arrive("connecting")
    wallet.reject()
    arrive("rejected_connect")
    panel.choose(wallet)
    wallet.fail(-32002)
    arrive("request_pending")
    panel.retry()
    wallet.fail(-32603, "technical")
    arrive("connect_failed")
    panel.retry()
    interrupt.answers[CHALLENGES] = lambda: (*refusal("rate_limited", 429), {"Retry-After": "1"})
    wallet.approve_connect()
    arrive("choose_account")
    browser.click("account-option")
    arrive("rate_limited")
    browser.wait(lambda: browser.see("retry").get_attribute("aria-disabled") is None)
    interrupt.answers[CHALLENGES] = lambda: refusal("account_malformed", 400)
    panel.retry()
    arrive("nonce_failed")
    interrupt.answers.clear()
    panel.retry()
    arrive("ready_to_sign")
    panel.sign()
    arrive("signing")
    wallet.fail(-32002)
    arrive("request_pending")
    panel.sign()
    wallet.reject()
    arrive("rejected_sign")
    panel.sign()
    wallet.fail(-32603, "technical")
    arrive("sign_failed")
    wallet.switch_chain(5)
    arrive("wrong_network")
    browser.all("switch-network")[0].click()
    arrive("switching")
    wallet.approve_switch()
    arrive("ready_to_sign")
    wallet.switch_account(keep=True)
    arrive("account_switched")
    browser.click("keep-account")
    arrive("ready_to_sign")
    wallet.switch_account_silently()
    panel.sign()
    arrive("address_mismatch")
    assert not found, f"{screen}: " + "; ".join(found)


@pytest.mark.parametrize("phone", [False, True], ids=["computer", "phone"])
def test_offer_for_visitors_without_a_wallet_begins_in_view(browser: Browser, screen: str, phone: bool) -> None:
    if phone:
        browser.cdp("Emulation.setUserAgentOverride", userAgent=PHONE)
    panel = ConnectPanel(browser)
    panel.open()
    state = "in_app_browser" if phone else "no_wallet"
    panel.wait_for(state)
    assert out_of_view(browser, state) == [], screen


def test_message_of_a_trial_wallet_begins_in_view(browser: Browser, trial: Trial, screen: str) -> None:
    """Only this page shows that message, so its first lines are in view together with the button."""
    trial.choose()
    assert out_of_view(browser, "ready_to_sign") == [], screen
    for fact in ("message-site", "message-account"):
        assert browser.run(IN_VIEW, browser.see(fact)) == "", (screen, fact)


def test_message_folds_and_its_site_and_account_stay(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    """Five lines are shown, all of it after a click; the keyboard can scroll it either way."""
    panel.connect(wallet)
    text = browser.see("message-preview")
    assert browser.see("message-site").text in panel.preview.split("\n")[0]
    assert browser.see("message-account").text == wallet.address
    assert browser.run("return arguments[0].scrollHeight > arguments[0].clientHeight + 20", text)
    assert text.get_attribute("tabindex") == "0"
    for expanded in ("true", "false"):
        browser.click("message-unfold")
        assert browser.see("message-unfold").get_attribute("aria-expanded") == expanded
        whole = browser.run("return arguments[0].scrollHeight <= arguments[0].clientHeight", text)
        assert whole is (expanded == "true")
        assert browser.see("message-account").text == wallet.address
