"""A dialog says what a user lacks for what a script of the page has asked, in the words of /unauthorized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask, render_template_string
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sessions_core import requires, signed_in
from sessions_core.web.services import Services

from ..part_services import roles_of
from .conftest import Interruption, account_of
from .pages import Browser
from .wallet_in_page import WalletInPage

PAGE = """
{% extends "sessions/base.html" %}
{% block title %}Notes{% endblock %}
{% block main %}
<h1>Notes</h1>
<textarea name="words" aria-label="Words"></textarea>
<button class="button" type="button" id="ask">Ask</button>
{% endblock %}
"""
# As a script of an application does it.
ASK = """
    const [path, name] = arguments;
    document.querySelector("#ask").addEventListener("click", async () => {
      const answer = await (await fetch(path, { headers: { Accept: "application/json" } })).json();
      if (answer.error.code === name) {
        document.dispatchEvent(new CustomEvent("permission-denied", { detail: answer.error }));
      }
    });
"""
REFUSE = "document.dispatchEvent(new CustomEvent('permission-denied', { detail: arguments[0] }))"
UNAUTHORIZED = ("/unauthorized", "GET")


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    app = make_app()

    @app.get("/notes")
    @signed_in
    def notes() -> str:
        return render_template_string(PAGE)

    for name, needed in {
        "role": requires(role="admin"),
        "type": requires(session_type="professional"),
        "permission": requires("write:therapy_notes"),
        "network": requires("test-only"),
    }.items():
        app.add_url_rule(f"/api/needs/{name}", name, needed(lambda: {}))
    return app


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Browser:
    browser.enter(wallet)
    browser.open("/notes")
    browser.wait_for_session("active")
    return browser


def ask(browser: Browser, name: str) -> None:
    """Press a button whose script asks the server for something that the user may not have."""
    browser.run(ASK, f"/api/needs/{name}", "permission_denied")
    browser.driver.find_element(By.ID, "ask").click()
    browser.see("denied")


def words(browser: Browser, test_id: str) -> list[str]:
    """The heading and the sentences, without buttons and links."""
    found = browser.see(test_id).find_elements(By.CSS_SELECTOR, "h1, h2, p:not([data-part=tabs]), code")
    return [each.text for each in found if each.is_displayed()]


@pytest.mark.parametrize(
    ("name", "lacking", "title"),
    [
        ("role", {"role": "admin"}, "You need the admin role"),
        ("type", {"session_type": "professional"}, "You need a professional session"),
        ("permission", {"permission": "write:therapy_notes"}, "You need a professional session"),
        ("network", {"permission": "test-only"}, "Switch to a test network"),
    ],
)
def test_dialog_has_the_words_of_the_page(session: Browser, name: str, lacking: dict[str, str], title: str) -> None:
    ask(session, name)
    shown = words(session, "denied")
    assert shown[0] == title
    assert session.driver.title.startswith("Notes")
    session.open("/unauthorized", **lacking)
    assert words(session, "unauthorized") == shown


def test_esc_closes_the_dialog_and_the_focus_returns(session: Browser) -> None:
    ask(session, "role")
    assert session.focused.get_attribute("data-testid") == "denied"
    session.press(Keys.ESCAPE)
    session.see_no("denied")
    assert session.focused.get_attribute("id") == "ask"
    assert session.all("denied") == []
    session.driver.find_element(By.ID, "ask").click()
    session.see("denied")
    session.click("denied-close")
    session.see_no("denied")
    assert session.focused.get_attribute("id") == "ask"


def test_account_can_be_copied_for_the_administrator(session: Browser, wallet: WalletInPage) -> None:
    session.allow_clipboard()
    ask(session, "role")
    session.click("copy-account")
    session.wait(lambda: session.clipboard() == wallet.account, session.clipboard)


def test_way_out_opens_a_tab_and_the_writing_stays(session: Browser, wallet: WalletInPage) -> None:
    """In the other tab the user signs in again, with what was lacking: this page goes on with that session."""
    session.driver.find_element(By.NAME, "words").send_keys("a note")
    ask(session, "network")
    session.click("unauthorized-sign-in")
    session.wait(lambda: len(session.driver.window_handles) == 2)
    [tab] = set(session.driver.window_handles) - {session.home}
    session.switch_to(tab)
    session.arrive_at("/sign-in")
    assert session.run("return opener") is None
    session.switch_to(session.home)
    session.take_cookie(wallet)
    session.look_again()
    session.wait(lambda: "signed in again, until" in session.see("session-line").text, lambda: session.text)
    assert session.driver.find_element(By.NAME, "words").get_attribute("value") == "a note"
    session.press(Keys.ESCAPE)
    session.see_no("denied")


def test_dialog_has_no_link_to_the_page_it_is_on(
    session: Browser, wallet: WalletInPage, services: Services, app: Flask
) -> None:
    session.open("/unauthorized", role="admin", next="/notes")
    assert session.see("unauthorized-again")
    session.open("/notes")
    ask(session, "role")
    assert session.all("unauthorized-again") == []
    session.press(Keys.ESCAPE)
    session.see_no("denied")
    with app.app_context():
        roles_of(services).assign(account_of(wallet), "admin")
    session.run(REFUSE, {"kind": "role", "missing": "admin"})
    session.see("denied")
    assert words(session, "denied") == ["You have access now", "Your account has the admin role."]
    assert session.all("unauthorized-next") == []


def test_server_that_does_not_answer_leaves_plain_words(session: Browser, interrupt: Interruption) -> None:
    interrupt.answers[UNAUTHORIZED] = lambda: ("down", 503)
    ask(session, "role")
    assert words(session, "denied")[0] == "You don\N{RIGHT SINGLE QUOTATION MARK}t have permission"


@pytest.mark.parametrize(
    "detail",
    [None, 7, "x", {}, {"kind": "next", "missing": "//evil.example"}, {"kind": "role", "missing": "<b>evil</b>"}],
)
def test_odd_refusals_show_nothing_of_theirs(session: Browser, detail: Any) -> None:
    session.run(REFUSE, detail)
    session.see("denied")
    assert "evil" not in session.see("denied").get_attribute("outerHTML")
    assert words(session, "denied")[0] == "You can\N{RIGHT SINGLE QUOTATION MARK}t use this page"


def test_second_refusal_waits_for_the_first(session: Browser) -> None:
    for role in ("admin", "member"):
        session.run(REFUSE, {"kind": "role", "missing": role})
    session.see("denied")
    assert words(session, "denied")[0] == "You need the admin role"
    assert len(session.all("denied")) == 1


@pytest.mark.parametrize("name", ["role", "network"])
def test_denied_dialog_passes_axe(session: Browser, check: Callable[[str], None], name: str) -> None:
    ask(session, name)
    check(f"denied, {name}")
