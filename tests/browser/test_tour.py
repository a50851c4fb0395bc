"""The tour in Chromium: every card signed in and signed out, the drawer, the attacks, and a second browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from redis import Redis

from tour.pages import CARDS

from ..actors import Visitor
from ..constants import ROOT
from .pages import Browser, ConfirmPanel
from .tour_page import press
from .trial_wallet import Trial
from .wallet_in_page import WalletInPage

PATHS = {
    "members": "/tour/members",
    "invoice": "/tour/invoices/7",
    "editors": "/tour/editors",
    "testnet": "/tour/testnet",
    "live": "/tour/live",
    "api": "/tour/api",
    "note": "/tour/note",
}
CODE = {card.name: card.code for card in CARDS}
OPEN_TO_ALL = {"note"}
CLIPBOARD = "navigator.clipboard.readText().then(arguments[0], String)"


@pytest.fixture
def guest(browser: Browser, trial: Trial) -> Trial:
    """A visitor who tries the site without a wallet, on the tour."""
    browser.open("/tour")
    trial.enter(next="/tour")
    browser.arrive_at("/tour")
    return trial


def last_request(browser: Browser, line: str) -> None:
    """Wait until the closed drawer shows this as the latest request."""

    def shown() -> str:
        return " ".join(browser.see("log-last").text.split())

    browser.wait(lambda: shown().startswith(line), lambda: f"the drawer says {shown()}")


def sign_out(browser: Browser) -> None:
    browser.open("/session")
    press(browser, "sign-out")
    browser.arrive_at("/signed-out")


def verdict(browser: Browser) -> tuple[str, str, str]:
    """Return status and codes of an attack, as its page shows them."""
    found = browser.see("outcome")
    shown = (found.get_attribute("data-status"), found.get_attribute("data-code"), found.get_attribute("data-more"))
    assert " ".join(filter(None, shown[:2])) in found.text
    return shown  # type: ignore[return-value]


# -- Cards ----------------------------------------------------------------------------------------------------------


def test_every_card_has_a_path_here() -> None:
    assert list(PATHS) == [card.name for card in CARDS]


@pytest.mark.parametrize("card", PATHS)
def test_card_leads_visitors_through_sign_in_to_its_page(browser: Browser, trial: Trial, card: str) -> None:
    """Signed out: a page for everybody opens, and any other asks for a sign-in, then opens or says why not."""
    browser.open("/tour")
    press(browser, f"open-{card}")
    if card in OPEN_TO_ALL:
        browser.arrive_at(PATHS[card])
        browser.see("live")
        return
    browser.arrive_at("/sign-in")
    browser.click("try-without-wallet")
    trial.panel.wait_for("ready_to_sign")
    trial.panel.sign()
    browser.wait(lambda: not browser.path.startswith("/sign-in"))
    if card == "editors":
        browser.arrive_at("/unauthorized")
    else:
        browser.arrive_at(PATHS[card])
        browser.see("live")


@pytest.mark.parametrize("card", [each for each in PATHS if each != "editors"])
def test_card_opens_for_a_guest_of_a_test_network(browser: Browser, guest: Trial, card: str) -> None:
    press(browser, f"open-{card}")
    browser.arrive_at(PATHS[card])
    browser.see("live")
    assert CODE[card] in browser.see(f"code-{card}").text


def test_second_tab_of_the_live_card_hears_of_a_role(browser: Browser, guest: Trial) -> None:
    press(browser, "open-live")
    browser.arrive_at("/tour/live")
    browser.wait(lambda: browser.run("return document.querySelector('live-updates').dataset.leads !== undefined"))
    browser.new_tab()
    browser.open("/tour/live")
    press(browser, "live-role")
    browser.arrive_at("/tour/editors")
    browser.switch_to(browser.home)
    browser.wait(lambda: "account:changed" in browser.see("live-heard").text)
    assert "What your account may do here has changed" in browser.see("live-notice").text


def test_guest_pays_with_a_signature_that_names_the_invoice(browser: Browser, guest: Trial) -> None:
    press(browser, "open-invoice")
    press(browser, "pay")
    panel = ConfirmPanel(browser)
    panel.arrive("invoice.pay")
    assert panel.sentence.startswith("Pay invoice 7: 120 USDC.")
    guest.confirm()
    browser.arrive_at("/tour/invoices/7")
    assert "Invoice 7 is paid" in browser.see("invoice-paid").text


def test_wallet_owner_pays_too(browser: Browser, wallet: WalletInPage) -> None:
    browser.enter(wallet)
    browser.open("/tour/invoices/7")
    press(browser, "pay")
    panel = ConfirmPanel(browser)
    panel.arrive("invoice.pay")
    assert "Pay invoice 7: 120 USDC." in panel.confirm(wallet)
    browser.see("invoice-paid")


def test_guest_becomes_an_editor_and_a_member_again(browser: Browser, guest: Trial) -> None:
    assert browser.see("state-editors").text == "For editors. Your role: member"
    press(browser, "make-editor")
    browser.arrive_at("/tour/editors")
    assert "You are an editor" in browser.see("live").text
    press(browser, "leave-editors")
    browser.arrive_at("/tour")
    assert browser.see("state-editors").text == "For editors. Your role: member"


def test_test_network_card_shows_the_way_on_a_mainnet(browser: Browser, wallet: WalletInPage) -> None:
    browser.enter(wallet)
    browser.open("/tour")
    assert browser.see("state-testnet").text.startswith("Closed on Ethereum")
    press(browser, "open-testnet")
    browser.arrive_at("/unauthorized")


def test_curl_line_works_until_the_session_ends(browser: Browser, guest: Trial) -> None:
    """The line is run by a shell, as it stands on the page."""
    browser.open("/tour/api")
    refused = run(browser.driver.find_element("id", "code-curl-refused").text)
    assert (refused["success"], refused["error"]["code"]) == (False, "no_token")
    press(browser, "make-token")
    line = str(browser.driver.find_element("id", "code-curl").get_attribute("textContent"))
    assert run(line)["data"] == {"number": 7, "amount": 120, "payee": "Fern and Moss Studio"}
    sign_out(browser)
    assert run(line)["success"] is False


def run(line: str) -> dict[str, Any]:
    answer = subprocess.run(["sh", "-c", f"{line} -sS"], capture_output=True, text=True, timeout=20, check=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def test_note_of_a_visitor_is_there_after_sign_in(browser: Browser, trial: Trial) -> None:
    browser.open("/tour/note")
    browser.see("note").send_keys("water the ferns")
    press(browser, "keep-note")
    trial.enter(next="/tour/note")
    browser.arrive_at("/tour/note")
    assert browser.see("note").get_attribute("value") == "water the ferns"
    sign_out(browser)
    browser.open("/tour/note")
    assert browser.see("note").get_attribute("value") == ""


# -- Home page ------------------------------------------------------------------------------------------------------


def test_home_page_leads_to_the_tour_without_a_wallet(browser: Browser) -> None:
    browser.open("/")
    press(browser, "home-try")
    browser.arrive_at("/tour")
    browser.open("/")
    press(browser, "home-tour")
    browser.arrive_at("/tour")


def test_copy_button_copies_the_whole_app(browser: Browser) -> None:
    browser.open("/")
    browser.cdp("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.cdp("Page.bringToFront")
    browser.click("copy-minimal")
    browser.wait(lambda: "Copied" in browser.see("code-minimal").text)
    copied = browser.driver.execute_async_script(CLIPBOARD)
    assert copied == (ROOT / "examples/minimal/app.py").read_text().rstrip()


# -- What the server just did -------------------------------------------------------------------------------------


def test_closed_drawer_shows_the_latest_request(browser: Browser, guest: Trial) -> None:
    last_request(browser, "200 GET /tour 1 round trip to Redis")
    press(browser, "open-members")
    last_request(browser, "200 GET /tour/members 1 round trip to Redis")


def test_drawer_stays_open_on_the_next_page(browser: Browser, guest: Trial) -> None:
    browser.click("log-open")
    browser.see("log-event")
    browser.open("/tour/members")
    browser.wait(lambda: "GET /tour/members" in browser.see("log-request").text)
    browser.click("log-open")
    browser.see_no("log-event")
    browser.open("/tour")
    last_request(browser, "200 GET /tour")
    assert not browser.shown("log-event")


def test_drawer_shows_what_a_second_browser_does(browser: Browser, guest: Trial, app: Flask) -> None:
    browser.click("log-open")
    browser.see("log-event")
    assert [each.text.split("\n")[0] for each in browser.all("log-event")] == ["session.created"]
    sign_in_elsewhere(browser, app)
    browser.wait(lambda: len(browser.all("log-event")) == 2, "the drawer does not show the second sign-in")


def test_drawer_says_when_the_log_can_not_be_read(browser: Browser, guest: Trial) -> None:
    browser.click("log-open")
    browser.see("log-request")
    browser.offline()
    browser.wait(lambda: "be read right now" in browser.see("log-trouble").text)
    browser.online()
    browser.see_no("log-trouble")


def test_focus_is_never_under_the_drawer(browser: Browser, guest: Trial) -> None:
    """WCAG 2.4.11: a person goes through the whole page with the Tab key, on a phone."""
    under = """
        const focused = document.activeElement, drawer = document.querySelector("server-log");
        if (drawer.contains(focused) || focused === document.body) return "";
        const box = focused.getBoundingClientRect(), cover = drawer.getBoundingClientRect();
        return box.top >= cover.top && box.bottom <= cover.bottom ? focused.outerHTML.slice(0, 120) : "";
    """
    browser.look(width=320, height=640)
    browser.open("/tour")
    hidden = []
    for _ in range(60):
        browser.press("\ue004")
        hidden.append(browser.run(under))
    assert [each for each in hidden if each] == []


# -- Attacks --------------------------------------------------------------------------------------------------------


def test_replay_of_the_last_signature_fails_on_show(browser: Browser, guest: Trial) -> None:
    browser.open("/tour/invoices/7")
    press(browser, "pay")
    browser.see("confirm")
    guest.confirm()
    browser.arrive_at("/tour/invoices/7")
    press(browser, "replay")
    assert verdict(browser) == ("403", "step_up_required", "challenge_used")
    last_request(browser, "403 POST /tour/invoices/7/pay")
    press(browser, "outcome-on")
    browser.arrive_at("/tour")


def test_forged_cookie_fails_on_show(browser: Browser, guest: Trial) -> None:
    press(browser, "forge")
    assert verdict(browser) == ("401", "session_invalid", "unknown")
    last_request(browser, "401 GET /tour/members")
    browser.wait_for_session("active")


def test_request_after_sign_out_fails_on_show(browser: Browser, guest: Trial) -> None:
    press(browser, "stale")
    assert verdict(browser) == ("401", "session_invalid", "signed_out")
    browser.open("/tour/members")
    browser.arrive_at("/sign-in")


# -- A second browser -----------------------------------------------------------------------------------------------


class SecondBrowser(Visitor):
    """Another browser on this machine."""

    def __init__(self, app: Flask, browser: Browser) -> None:
        super().__init__(app)
        self.site = browser.origin

    def follow(self, link: str) -> int:
        """Open the link and press its button; return the status of the answer."""
        path = link.removeprefix(self.site)
        form = {"csrf_token": self.token(path)}
        return self.post(path, data=form, headers={"Origin": self.site}).status_code


def make_link(browser: Browser) -> str:
    browser.open("/tour")
    press(browser, "second")
    return browser.driver.find_element("id", "code-second-link").text.replace("\n", "")


def sign_in_elsewhere(browser: Browser, app: Flask) -> SecondBrowser:
    """Make a link in another tab, and have a second browser sign in by it."""
    browser.new_tab()
    link = make_link(browser)
    browser.close_other_tabs()
    second = SecondBrowser(app, browser)
    assert second.follow(link) == 303
    assert second.signed_in
    return second


def test_link_opens_the_trial_account_once(browser: Browser, guest: Trial, app: Flask, redis: Redis) -> None:
    link = make_link(browser)
    [key] = redis.keys("*:tour:second:*")
    assert 0 < redis.ttl(key) <= 120
    assert link.rpartition("/")[2].encode() not in key
    second = SecondBrowser(app, browser)
    page = second.get(link.removeprefix(browser.origin))
    assert page.status_code == 200
    assert not second.signed_in, "opening the link alone signs nobody in"
    assert second.follow(link) == 303
    assert second.json("/api/auth/sessions/validate").get_json()["data"]["account"] == guest.account
    assert SecondBrowser(app, browser).follow(link) == 410


def test_first_browser_sees_the_notice_and_ends_the_second(browser: Browser, guest: Trial, app: Flask) -> None:
    second = sign_in_elsewhere(browser, app)
    browser.open("/tour")
    browser.see("elsewhere")
    assert second.signed_in
    browser.open("/sessions")
    browser.click("session-revoke")
    browser.wait(lambda: not second.signed_in, "the second browser is still signed in")


# -- For everyone ---------------------------------------------------------------------------------------------------


@pytest.fixture
def check(browser: Browser, check: Callable[[str], None]) -> Callable[[str], None]:
    """axe measures targets where they are in the window, so the drawer must not lie on what scrolls under it."""

    def check_at_rest(place: str) -> None:
        browser.run("document.querySelector('server-log')?.style.setProperty('position', 'static')")
        check(place)

    return check_at_rest


def test_tour_passes_axe_for_visitors(browser: Browser, check: Callable[[str], None]) -> None:
    for path in ("/", "/tour", "/tour/note", "/read/README.md"):
        browser.open(path)
        check(path)


def test_tour_passes_axe_for_users(browser: Browser, guest: Trial, check: Callable[[str], None]) -> None:
    for path in ("/", "/tour", *(path for card, path in PATHS.items() if card != "editors"), "/read/docs/api.md"):
        browser.open(path)
        check(path)
    browser.open("/tour/api")
    press(browser, "make-token")
    check("a token")
    browser.open("/tour")
    press(browser, "make-editor")
    check("editors")
    browser.click("log-open")
    browser.see("log-request")
    check("the drawer")
    press(browser, "leave-editors")
    press(browser, "second")
    check("a link for a second browser")
    browser.open("/tour/second/" + "x" * 32)
    check("the link")
    browser.open("/tour")
    press(browser, "stale")
    check("what an attack came to")
