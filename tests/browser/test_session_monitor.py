"""`SessionMonitor` asks a user who did nothing for a while, and does what they answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from selenium.webdriver.common.keys import Keys

from sessions_core.web.services import Services

from ..constants import IDLE
from ..time_machine import TimeMachine
from .conftest import account_of
from .library_page import LIBRARY, LibraryPage, add_page
from .pages import ROOT, Browser
from .session_page import press_a_key
from .wallet_in_page import WalletInPage

CLOCKS = (ROOT / "sessions_core/testing/clocks_in_page.js").read_text()
WATCH_OVER = f"""
    const {{ SessionMonitor }} = await import("{LIBRARY}/session-monitor.js");
    const dialog = document.querySelector("dialog");
    window.monitor = new SessionMonitor(manager, {{ ...given[0], dialog: given[1] ? dialog : null }});
    window.asks = [];
    for (const name of ["ask", "answered"]) {{
      monitor.addEventListener(name, ({{ detail }}) => {{
        window.asked = detail;
        asks.push([name, detail.answer]);
      }});
    }}
    monitor.start();
"""


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return add_page(make_app())


@pytest.fixture
def page(browser: Browser, wallet: WalletInPage) -> LibraryPage:
    browser.take_cookie(wallet)
    page = LibraryPage(browser)
    with browser.before_scripts(CLOCKS):
        page.open(checkEvery=0, disableAutoSessionKeepAlive=True)
    return page


def advance(page: LibraryPage, seconds: float, times: int = 1) -> None:
    """Let time pass for the device, in as many steps."""
    for _ in range(times):
        page.browser.run("sessionsTestClocks.advance(arguments[0] * 1000)", seconds)


def asked(page: LibraryPage) -> list[list[str | None]]:
    found: list[list[str | None]] = page.browser.run("return asks")
    return found


def test_user_who_does_nothing_is_asked(page: LibraryPage, check: Callable[[str], None]) -> None:
    """After the threshold, when the next minute is over; by a dialog that axe finds nothing wrong with."""
    page.call(WATCH_OVER, {"threshold": 600}, True)
    advance(page, 61, 9)
    assert asked(page) == []
    advance(page, 61)
    assert asked(page) == [["ask", None]]
    assert page.browser.run("return asked.inactiveSeconds") >= 600
    assert page.browser.focused.text == "Stay signed in"
    check("session monitor")


def test_activity_begins_the_threshold_anew(page: LibraryPage) -> None:
    page.call(WATCH_OVER, {"threshold": 600}, True)
    advance(page, 61, 9)
    press_a_key(page.browser)
    advance(page, 61, 9)
    assert asked(page) == []
    page.browser.run("document.body.dispatchEvent(new Event('keydown', { bubbles: true }))")
    advance(page, 61)
    assert asked(page) == [["ask", None]], "an event of a script is no activity"


@pytest.mark.parametrize("way", ["button", "Esc", "event"])
def test_staying_extends_the_session(page: LibraryPage, pass_time: TimeMachine, way: str) -> None:
    page.call(WATCH_OVER, {"threshold": 600}, way != "event")
    pass_time(660)
    advance(page, 61, 11)
    if way == "button":
        page.browser.focused.click()
    elif way == "Esc":
        page.browser.press(Keys.ESCAPE)
    else:
        page.browser.run("asked.extend()")
    page.browser.wait(lambda: page.browser.run("return manager.timeRemaining") > IDLE - 60)
    assert asked(page) == [["ask", None], ["answered", "extend"]]
    assert page.browser.run("return document.querySelector('dialog').open") is False


def test_signing_out_ends_the_session(page: LibraryPage, services: Services, wallet: WalletInPage) -> None:
    page.call(WATCH_OVER, {"threshold": 600}, True)
    advance(page, 61, 10)
    page.browser.run("document.querySelector('dialog button[value=sign_out]').click()")
    page.wait_for("signed_out")
    assert services.repository.living(str(account_of(wallet))) == []


def test_question_goes_when_another_tab_answers(page: LibraryPage, pass_time: TimeMachine) -> None:
    page.call(WATCH_OVER, {"threshold": 600}, True)
    pass_time(660)
    advance(page, 61, 11)
    page.browser.new_tab()
    LibraryPage(page.browser).open(disableAutoSessionKeepAlive=True)
    assert page.call("return manager.refreshSession()") is True
    page.browser.switch_to(page.browser.home)
    page.browser.wait(lambda: asked(page) == [["ask", None], ["answered", "withdrawn"]])


def test_user_is_asked_before_the_session_ends(page: LibraryPage, pass_time: TimeMachine) -> None:
    """The threshold of half an hour is the whole idle time: then it would be too late."""
    page.call(WATCH_OVER, {}, False)
    advance(page, 61, 27)
    assert asked(page) == []
    advance(page, 61)
    assert asked(page) == [["ask", None]]
    assert 0 < page.browser.run("return asked.timeRemaining") <= 120


def test_listener_can_show_a_dialog_of_its_own(page: LibraryPage) -> None:
    page.call(WATCH_OVER, {"threshold": 600}, True)
    page.browser.run("monitor.addEventListener('ask', (event) => event.preventDefault())")
    advance(page, 61, 10)
    assert asked(page) == [["ask", None]]
    assert page.browser.run("return document.querySelector('dialog').open") is False
    page.browser.run("monitor.stop()")
    assert asked(page)[1:] == [["answered", "withdrawn"]]
