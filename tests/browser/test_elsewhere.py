"""A sign-in elsewhere: one line above the pages of a session shows it until its user has answered."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from .conftest import Elsewhere
from .pages import FIREFOX, PHONE, Browser
from .wallet_in_page import WalletInPage


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Browser:
    browser.enter(wallet)
    browser.wait_for_session("active")
    return browser


def what(browser: Browser) -> str:
    return " ".join(browser.see("elsewhere-what").text.split())


def spoken(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('[data-testid=elsewhere-speech]')?.textContent ?? ''"))


def test_new_sign_in_is_announced_without_moving_the_focus(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    assert not session.all("elsewhere")
    elsewhere.sign_in(wallet)
    session.open("/session")
    assert what(session) == "New sign-in: Firefox on Linux, 203.0.113.7, just now, with “MetaMask”."
    session.wait(lambda: "New sign-in to your account: Firefox on Linux." in spoken(session))
    assert session.focused.tag_name == "body"


def test_first_tab_key_focuses_the_notice(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    elsewhere.sign_in(wallet)
    session.open("/session")
    session.see("elsewhere")
    session.press(Keys.TAB)
    assert session.focused.text == "Skip to the new sign-in"
    session.press(Keys.ENTER)
    session.wait(lambda: session.focused.get_attribute("data-testid") == "elsewhere")
    assert session.focused.accessible_name == "New sign-in"
    for test_id in ("elsewhere-me", "elsewhere-not-me"):
        session.press(Keys.TAB)
        assert session.focused.get_attribute("data-testid") == test_id
    described = session.run("return document.activeElement.getAttribute('aria-describedby')")
    assert "Firefox on Linux" in session.driver.find_element(By.ID, described).text


def test_that_was_me_hides_the_notice_in_every_tab(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    """The user stays on the same page."""
    elsewhere.sign_in(wallet)
    session.open("/sessions", page="1")
    tab = session.driver.current_window_handle
    session.new_tab()
    session.open("/activity")
    session.see("elsewhere")
    session.switch_to(tab)
    session.follow("elsewhere-me")
    assert session.path == "/sessions?page=1"
    assert not session.all("elsewhere")
    session.close_other_tabs()
    session.open("/activity")
    session.wait_for_session("active")
    assert not session.all("elsewhere")


def test_each_new_sign_in_is_confirmed_separately(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    for number in range(3):
        elsewhere.sign_in(wallet, PHONE, f"203.0.113.{number}")
    session.open("/session")
    for number, more in ((2, " 3 new sign-ins"), (1, " 2 new sign-ins"), (0, "")):
        assert what(session) == f"New sign-in: Safari on iOS, 203.0.113.{number}, just now, with “MetaMask”.{more}"
        session.follow("elsewhere-me")
    assert not session.all("elsewhere")


def test_it_was_not_me_signs_that_device_out(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    elsewhere.sign_in(wallet, PHONE)
    stranger = elsewhere.sign_in(wallet)
    session.open("/activity")
    session.follow("elsewhere-not-me")
    assert session.path == f"/sessions/{stranger}/not-me"
    assert "Sign out Firefox on Linux?" in session.text
    assert not session.all("elsewhere"), "one question at a time"
    session.follow("not-me-confirm")
    session.wait(lambda: session.see("message").get_attribute("data-message") == "not_me")
    assert "Firefox on Linux is signed out." in session.see("message").text
    assert not elsewhere.alive(wallet, stranger)
    assert what(session).startswith("New sign-in: Safari on iOS"), "the other one is still to be answered"


def test_a_sign_in_that_has_ended_can_still_be_denied(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    stranger = elsewhere.sign_in(wallet)
    session.open("/activity")
    elsewhere.end(wallet, stranger)
    session.follow("elsewhere-not-me")
    assert "That device is signed out" in session.text
    session.follow("not-me-confirm")
    session.wait(lambda: session.see("message").get_attribute("data-message") == "not_me_gone")
    assert not session.all("elsewhere")


def test_each_new_sign_in_is_spoken_once(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    """Not again on each page that shows it."""
    elsewhere.sign_in(wallet)
    session.open("/session")
    session.wait(lambda: "Firefox on Linux" in spoken(session))
    session.open("/activity")
    session.wait_for_session("active")
    assert session.see("elsewhere")
    assert spoken(session) == ""
    elsewhere.sign_in(wallet, PHONE)
    session.open("/activity")
    session.wait(lambda: "Safari on iOS" in spoken(session))


@pytest.mark.parametrize("path", ["/nowhere", "/session/wallets/link", "/sessions/others"])
def test_page_with_a_task_of_its_own_has_no_notice(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, path: str
) -> None:
    elsewhere.sign_in(wallet)
    session.open(path)
    assert session.driver.find_element(By.TAG_NAME, "h1").is_displayed()
    assert not session.all("elsewhere")
    assert "Skip to the new sign-in" not in session.driver.page_source


def test_notice_works_without_script(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    elsewhere.sign_in(wallet)
    session.scripts(on=False)
    session.open("/activity")
    assert session.see("elsewhere")
    session.click("elsewhere-me")
    session.wait(lambda: not session.all("elsewhere"))
    assert session.path == "/activity"


def test_hostile_names_in_the_notice_are_only_text(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    elsewhere.sign_in(wallet, name="<img src=x onerror=\"document.title='run'\">")
    session.open("/session")
    assert "<img src=x" in what(session)
    assert not session.driver.find_elements(By.CSS_SELECTOR, ".elsewhere img")
    assert session.driver.title != "run"


@pytest.mark.parametrize("path", ["/session", "/sessions", "/activity"])
def test_notice_passes_axe(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, check: Callable[[str], None], path: str
) -> None:
    elsewhere.sign_in(wallet)
    elsewhere.sign_in(wallet, FIREFOX, "2001:db8:85a3:1234:5678:8a2e:370:7334", name="W" * 40)
    session.open(path)
    session.see("elsewhere")
    check(path)
