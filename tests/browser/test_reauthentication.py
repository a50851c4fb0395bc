"""A page whose session ended by time keeps what its user wrote, until the same account signs in again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, render_template_string, request
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from sessions_core import sessionless, signed_in
from sessions_core.web.services import Services

from ..part_services import roles_of
from ..time_machine import TimeMachine
from .clocks_in_page import WATCH, asked, let_pass
from .conftest import Elsewhere, Hold, Interruption, account_of
from .pages import Browser, ConnectPanel
from .session_page import IDLE, VALIDATE, turn
from .wallet_in_page import WalletInPage

FORM = """
{% extends "sessions/base.html" %}
{% block title %}Invoice 7{% endblock %}
{% block head %}<meta name="customer" content="Ada Lovelace">{% endblock %}
{% block main %}
<h1>Invoice 7 of Ada Lovelace</h1>
<form method="post" enctype="multipart/form-data" data-customer="Ada Lovelace">
  <input type="hidden" name="csrf_token" value="{{ csrf_token() }}">
  <input name="title" aria-label="Title" value="Invoice">
  <textarea name="words" aria-label="Words"></textarea>
  <select name="kind" aria-label="Kind"><option>plain</option><option>fancy</option></select>
  <input type="checkbox" name="urgent" aria-label="Urgent">
  <input type="password" name="pin" aria-label="Pin">
  <input type="file" name="scan" aria-label="Scan">
  <button type="submit" id="send">Send</button>
</form>
<form data-forget-unsent><input id="search" aria-label="Search"></form>
{% endblock %}
"""
PRIVATE = ("Lovelace", "Invoice", "secret words")


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.route("/note", methods=["GET", "POST"])
    @signed_in
    def note() -> Any:
        if request.method == "GET":
            return render_template_string(FORM)
        sent = {name: value for name, value in request.form.items() if name != "csrf_token"}
        return sent | {"scan": request.files["scan"].read().decode()}

    @app.get("/fields")
    @sessionless
    def fields() -> str:
        return request.args["markup"]

    return app


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Browser:
    """A browser whose user has opened the form."""
    browser.enter(wallet)
    browser.open("/note")
    browser.wait_for_session("active")
    return browser


def field(browser: Browser, name: str) -> WebElement:
    return browser.driver.find_element(By.NAME, name)


def write(browser: Browser, words: str = "secret words") -> None:
    field(browser, "words").send_keys(words)


def expire(browser: Browser, pass_time: TimeMachine, seconds: int = IDLE + 1) -> None:
    pass_time(seconds)
    browser.look_again()


def hold_page(browser: Browser, pass_time: TimeMachine) -> None:
    """Write something, and come back when the session is over."""
    write(browser)
    expire(browser, pass_time)
    browser.see("reauthentication")


def given_back(browser: Browser) -> None:
    browser.see_no("reauthentication")
    browser.wait_for_session("active")


def hint(browser: Browser, kind: str = "extended") -> None:
    """Say what another tab says, whether it is true or not."""
    browser.run(f"new BroadcastChannel('wallet-session').postMessage({{ type: '{kind}' }})")


def everything(browser: Browser) -> str:
    """All that is in the document, and in the storage of the site."""
    return str(
        browser.run(
            "return document.documentElement.outerHTML + document.title + history.state"
            " + JSON.stringify(Object.entries(localStorage)) + JSON.stringify(Object.entries(sessionStorage))"
            " + Array.from(document.querySelectorAll('input, textarea'), ({ value }) => value).join()"
        )
    )


def private(browser: Browser, wallet: WalletInPage) -> list[str]:
    found = everything(browser).lower()
    return [word for word in (*PRIVATE, wallet.address, wallet.address[:6]) if word.lower() in found]


def send(browser: Browser) -> dict[str, str]:
    browser.run("document.querySelector('#send').click()")
    browser.wait(lambda: browser.run("return document.contentType") == "application/json", lambda: browser.text)
    return dict(browser.run("return JSON.parse(document.body.textContent)"))


def open_sign_in(browser: Browser, wallet: WalletInPage) -> None:
    """Sign in, in the tab that the page opens and that can't reach back to it."""
    wallet.uninstall()
    browser.click("reauthentication-sign-in")
    browser.wait(lambda: len(browser.driver.window_handles) == 2)
    [tab] = set(browser.driver.window_handles) - {browser.home}
    browser.switch_to(tab)
    browser.arrive_at("/sign-in")
    assert browser.run("return opener") is None
    wallet.install()
    browser.driver.refresh()
    wallet.uninstall()
    panel = ConnectPanel(browser)
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()


# -- The same account ------------------------------------------------------------------------------------------------


def test_same_account_goes_on_with_its_form(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine, tmp_path: Path
) -> None:
    scan = tmp_path / "scan.txt"
    scan.write_text("a scan")
    field(session, "scan").send_keys(str(scan))
    field(session, "title").send_keys(" of May")
    field(session, "kind").send_keys("fancy")
    field(session, "urgent").click()
    field(session, "pin").send_keys("1234")
    session.driver.find_element(By.ID, "search").send_keys("a search")
    hold_page(session, pass_time)
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    assert session.driver.title.startswith("Invoice 7")
    assert session.focused == field(session, "words")
    session.press("!")
    assert session.run("return document.querySelector('#search').value") == ""
    words = "signed in again, until"
    session.wait(lambda: words in session.see("session-line").text, lambda: session.text)
    assert send(session) == {
        "title": "Invoice of May",
        "words": "secret words!",
        "kind": "fancy",
        "urgent": "on",
        "pin": "",
        "scan": "a scan",
    }


def test_sign_in_tab_closes_and_page_is_back(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    """The whole way, as a user goes it."""
    hold_page(session, pass_time)
    open_sign_in(session, wallet)
    session.wait(lambda: session.driver.window_handles == [session.home], "the tab of the sign-in stays")
    session.switch_to(session.home)
    given_back(session)
    assert session.focused == field(session, "words")
    assert send(session)["words"] == "secret words"


def test_link_opens_the_sign_in_where_windows_are_blocked(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    hold_page(session, pass_time)
    session.run("window.open = () => null")
    open_sign_in(session, wallet)
    session.arrive_at("/session")
    session.switch_to(session.home)
    given_back(session)
    assert send(session)["words"] == "secret words"


def test_two_tabs_are_both_given_back(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    write(session)
    second = session.new_tab()
    session.open("/note")
    session.wait_for_session("active")
    write(session, "other words")
    expire(session, pass_time)
    session.see("reauthentication")
    session.switch_to(session.home)
    session.see("reauthentication")
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    session.switch_to(second)
    given_back(session)
    assert send(session)["words"] == "other words"
    session.switch_to(session.home)
    assert send(session)["words"] == "secret words"


def test_tab_that_missed_the_end_keeps_what_was_written(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    """It slept, and the user signed in again in another tab."""
    write(session)
    pass_time(IDLE + 1)
    session.take_cookie(wallet)
    session.look_again()
    session.wait(lambda: "signed in again" in session.see("session-line").text, lambda: session.text)
    assert send(session)["words"] == "secret words"


def test_page_given_back_is_held_again(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    hold_page(session, pass_time)
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    pass_time(IDLE - 60)
    session.look_again()
    session.see("timeout-dialog")
    expire(session, pass_time, 61)
    session.see("reauthentication")
    assert private(session, wallet) == []
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    assert send(session)["words"] == "secret words"


def test_id_that_rotates_meanwhile_does_not_lose_the_form(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine, services: Services, app: Flask, hold: Hold
) -> None:
    """The role changes while the page asks, so the answer comes from another id, with another token."""
    hold_page(session, pass_time)
    session.take_cookie(wallet)
    hold(*VALIDATE)
    session.look_again()
    with app.app_context():
        roles_of(services).assign(account_of(wallet), "admin")
    hold.release()
    given_back(session)
    assert send(session)["words"] == "secret words"


def test_account_is_watched_again_after_the_return(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine, elsewhere: Elsewhere
) -> None:
    """The part `live_updates` compares with the new session, and not with the old one."""
    session.run(
        "window.heard = [];document.addEventListener('account:changed', ({ detail }) => heard.push(detail.join()))"
    )
    hold_page(session, pass_time)
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    elsewhere.sign_in(wallet)
    session.wait(lambda: session.shown("live-notice"), "it hears of nothing")
    assert session.see("live-notice").text.startswith("New sign-in to your account")
    assert session.run("return heard") == ["news"]


def test_lost_answer_is_asked_for_again(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine, interrupt: Interruption
) -> None:
    hold_page(session, pass_time)
    session.take_cookie(wallet)
    interrupt.answers[VALIDATE] = lambda: ("down", 503)
    session.look_again()
    status = "return document.querySelector('[data-testid=reauthentication] [role=status]').textContent"
    session.wait(lambda: session.run(status).endswith("keep trying."), "it does not say so")
    assert private(session, wallet) == []
    interrupt.answers.clear()
    given_back(session)
    assert send(session)["words"] == "secret words"


def test_open_dialog_of_the_page_is_modal_again(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    session.run("""
        const dialog = document.createElement("dialog");
        dialog.append(document.createElement("textarea"));
        dialog.firstChild.name = "note";
        document.querySelector("main").append(dialog);
        dialog.showModal();
    """)
    field(session, "note").send_keys("secret words")
    expire(session, pass_time)
    session.see("reauthentication")
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    assert session.run("return document.querySelector('main dialog').matches(':modal')")
    assert session.focused == field(session, "note")
    assert field(session, "note").get_attribute("value") == "secret words"


# -- Anybody else ----------------------------------------------------------------------------------------------------


def test_another_account_loses_everything(
    session: Browser, wallet: WalletInPage, make_wallet: Callable[..., WalletInPage], pass_time: TimeMachine
) -> None:
    hold_page(session, pass_time)
    other = make_wallet(name="Other")
    session.take_cookie(other)
    hint(session)
    session.wait(lambda: other.address[:6] in session.text, lambda: session.text)
    assert "secret words" not in everything(session)
    assert field(session, "words").get_attribute("value") == ""


def test_another_type_of_session_loses_everything(
    session: Browser,
    wallet: WalletInPage,
    pass_time: TimeMachine,
    elsewhere: Elsewhere,
    services: Services,
    app: Flask,
) -> None:
    """It may not see what the page shows."""
    hold_page(session, pass_time)
    with elsewhere.request():
        live = services.lifecycle.start(account_of(wallet), services.policy.types["professional"], wallet="MetaMask")
    cookie = {"url": session.origin, "path": "/", "secure": True, "httpOnly": True, "sameSite": "Lax"}
    session.cdp("Network.setCookie", name="__Host-session", value=live.id, **cookie)
    session.look_again()
    session.see_no("reauthentication")
    session.wait_for_session("active")
    assert field(session, "words").get_attribute("value") == ""


def test_revoked_session_leaves_at_once(
    session: Browser, wallet: WalletInPage, services: Services, app: Flask
) -> None:
    write(session)
    handle = session.run("return document.querySelector('session-timeout').dataset.sessionId")
    with app.test_request_context():
        services.lifecycle.revoke_handle(account_of(wallet), handle, "revoked")
    session.arrive_at("/signed-out")
    assert "another device" in session.text


def test_sign_out_elsewhere_drops_the_held_page(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine, services: Services, app: Flask
) -> None:
    """The user signed in and out again in another tab: they are done."""
    hold_page(session, pass_time)
    session.take_cookie(wallet)
    with app.test_request_context():
        services.lifecycle.revoke_account(account_of(wallet))
    hint(session)
    session.arrive_at("/signed-out")


def test_cookie_that_is_gone_drops_the_held_page(session: Browser, pass_time: TimeMachine) -> None:
    """It was there until the user signed out, or cleared what the site had stored."""
    hold_page(session, pass_time)
    session.cdp("Network.clearBrowserCookies")
    hint(session)
    session.arrive_at("/signed-out")


def test_forged_hints_change_nothing(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    with session.before_scripts(WATCH):
        session.driver.refresh()
    session.wait_for_session("active")
    hold_page(session, pass_time)
    before = len(asked(session))
    session.run("""
        const channel = new BroadcastChannel("wallet-session");
        for (let at = 0; at < 200; at += 1) {
          for (const type of ["extended", "signed_out", "signed_in", 7]) channel.postMessage({ type });
          dispatchEvent(new Event("focus"));
          dispatchEvent(new StorageEvent("storage", { key: null }));
        }
    """)
    session.wait(lambda: len(asked(session)) >= before + 2, "it does not ask")
    assert session.shown("reauthentication")
    assert private(session, wallet) == []
    assert len(asked(session)) <= before + 5


def test_user_who_leaves_loses_everything(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    hold_page(session, pass_time)
    session.click("reauthentication-leave")
    session.arrive_at("/signed-out")
    assert "inactive for 30 minutes" in session.text
    session.take_cookie(wallet)
    session.driver.back()
    session.wait(lambda: not session.path.startswith("/signed-out"), lambda: f"at {session.path}")
    session.wait(lambda: session.run("return document.readyState") == "complete")
    assert "secret words" not in everything(session)


def test_sign_in_after_leaving_finds_an_empty_form(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    hold_page(session, pass_time)
    session.click("reauthentication-leave")
    session.follow("sign-in-again")
    session.take_cookie(wallet)
    session.open("/note")
    assert field(session, "words").get_attribute("value") == ""


# -- Nothing private meanwhile ---------------------------------------------------------------------------------------


def test_no_private_word_is_in_the_document(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    session.run(
        "document.body.dataset.customer = 'Ada Lovelace';"
        "const beside = document.createElement('p'); beside.textContent = 'Ada Lovelace';"
        "document.documentElement.append(beside)"
    )
    assert set(PRIVATE) - {"secret words"} <= set(private(session, wallet))
    hold_page(session, pass_time)
    assert private(session, wallet) == []
    assert session.driver.title == "Sign in again to keep what you wrote"
    assert session.see("reauthentication").text.startswith("Sign in again to keep what you wrote\nYou were inactive")


def test_what_scripts_add_meanwhile_comes_back_with_the_page(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    hold_page(session, pass_time)
    session.run(
        "for (const parent of [document.body, document.documentElement]) {"
        "  const box = document.createElement('p'); box.textContent = 'Ada Lovelace'; box.className = 'late';"
        "  parent.append(box);"
        "}"
    )
    session.wait(lambda: private(session, wallet) == [], "it stays")
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    assert len(session.driver.find_elements(By.CLASS_NAME, "late")) == 2


def test_page_of_the_back_cache_shows_no_private_word(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    """Whether the browser has kept the page, or asks for it again."""
    hold_page(session, pass_time)
    session.run("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert private(session, wallet) == []
    session.run("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert session.see("reauthentication")
    session.open("/livez")
    session.driver.back()
    session.wait(lambda: session.path != "/livez")
    assert session.wait(lambda: session.run("return document.readyState") == "complete")
    assert private(session, wallet) == []


def test_hidden_tab_is_held_too(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    write(session)
    turn(session, hidden=True)
    pass_time(IDLE + 1)
    hint(session)
    session.wait(lambda: private(session, wallet) == [], "the words stay")
    session.see("reauthentication")


def test_esc_does_not_close_the_dialog(session: Browser, pass_time: TimeMachine) -> None:
    hold_page(session, pass_time)
    for _ in range(3):
        session.press(Keys.ESCAPE)
    session.wait(lambda: session.run("return document.querySelector('dialog').matches(':modal')"), "it closed")
    assert session.focused.get_attribute("data-testid") == "reauthentication"


def test_events_tell_scripts_of_the_end_and_the_return(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    session.run(
        "window.heard = [];"
        "for (const type of ['sessions:ended', 'sessions:resumed'])"
        "  document.addEventListener(type, () => heard.push([type, document.querySelector('#send') !== null]));"
    )
    hold_page(session, pass_time)
    assert session.run("return heard") == [["sessions:ended", False]]
    session.take_cookie(wallet)
    session.look_again()
    given_back(session)
    assert session.run("return heard") == [["sessions:ended", False], ["sessions:resumed", True]]


def test_dialog_passes_axe(
    session: Browser, pass_time: TimeMachine, interrupt: Interruption, check: Callable[[str], None]
) -> None:
    field(session, "pin").send_keys("1234")
    hold_page(session, pass_time)
    check("reauthentication")
    interrupt.answers[VALIDATE] = lambda: ("down", 503)
    session.look_again()
    session.wait(lambda: "keep trying" in session.text)
    check("reauthentication, unreachable")


class TestTheAbsoluteEnd:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_ABSOLUTE_SECONDS": IDLE}

    def test_absolute_end_is_explained(self, session: Browser, pass_time: TimeMachine) -> None:
        hold_page(session, pass_time)
        assert "a session lasts 30 minutes at most" in session.see("reauthentication").text

    def test_cookie_that_ends_with_the_session_holds_the_page(
        self, session: Browser, wallet: WalletInPage, pass_time: TimeMachine
    ) -> None:
        """That of a user who stays signed in when the browser closes: the server hears of no session at all."""
        with session.before_scripts(WATCH):
            session.driver.refresh()
        session.wait_for_session("active")
        write(session)
        session.cdp("Network.clearBrowserCookies")
        let_pass(session, IDLE + 1)
        expire(session, pass_time)
        assert "a session lasts 30 minutes at most" in session.see("reauthentication").text
        session.take_cookie(wallet)
        session.look_again()
        given_back(session)


# -- What counts as written ------------------------------------------------------------------------------------------


def test_page_without_writing_leaves(session: Browser, pass_time: TimeMachine) -> None:
    """A password, a search and a button are nothing that a user would miss."""
    field(session, "pin").send_keys("1234")
    session.driver.find_element(By.ID, "search").send_keys("a search")
    expire(session, pass_time)
    session.arrive_at("/signed-out")


@pytest.mark.parametrize(
    ("markup", "change", "counts"),
    [
        ("<input value=a>", "", False),
        ("<input value=a>", "field.value = 'b'", True),
        ("<input value=a readonly>", "field.value = 'b'", False),
        ("<input value=a disabled>", "field.value = 'b'", False),
        ("<input type=hidden value=a>", "field.value = 'b'", False),
        ("<input type=range>", "", False),
        ("<input type=color>", "", False),
        ("<input type=checkbox checked>", "", False),
        ("<input type=checkbox checked>", "field.checked = false", True),
        ("<textarea>a</textarea>", "field.value += 'b'", True),
        ("<select><option>a<option>b</select>", "", False),
        ("<select><option disabled>a<option>b</select>", "field.selectedIndex = 1", False),
        ("<select><option>a<option selected>b</select>", "", False),
        ("<select><option>a<option selected>b</select>", "field.selectedIndex = 0", True),
        ("<select multiple><option>a<option selected>b</select>", "", False),
        ("<select multiple><option>a<option selected>b</select>", "field.options[0].selected = true", True),
        ("<div contenteditable data-unsent>a</div>", "", True),
        ("<div data-forget-unsent><input></div>", "field.querySelector('input').value = 'b'", False),
    ],
)
def test_fields_with_writing_are_found(browser: Browser, markup: str, change: str, counts: bool) -> None:
    browser.open("/fields", markup=markup)
    browser.run(f"const field = document.body.firstElementChild; {change}")
    assert browser.module("unsent", "module.hasUnsent()") is counts
