"""Presses that nobody meant: double clicks, held keys, and what a window that has just come up catches."""

from __future__ import annotations

import pytest
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys

from ..time_machine import TimeMachine
from .conftest import Elsewhere
from .pages import Browser, ConfirmPanel
from .session_page import warn
from .trial_wallet import Trial
from .wallet_in_page import WalletInPage

# Notes what a page sends instead of sending it.
NOTED = """
window.sent = [];
window.addEventListener("submit", (event) => { event.preventDefault(); sent.push(event.submitter?.dataset.testid); });
"""


@pytest.fixture
def noted(browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> Browser:
    """A session that is told of a sign-in elsewhere, on pages that note their forms."""
    browser.enter(wallet)
    elsewhere.sign_in(wallet)
    return browser


def sent(browser: Browser) -> list[str]:
    return list(browser.run("return sent"))


def pointer(browser: Browser, test_id: str, *, count: int = 1) -> None:
    """Click where the button is, as a mouse does, whatever the button thinks of it."""
    element = browser.see(test_id)
    browser.run("arguments[0].scrollIntoView({ block: 'center' })", element)
    box = browser.run("return arguments[0].getBoundingClientRect()", element)
    place = {
        "x": box["x"] + box["width"] / 2,
        "y": box["y"] + box["height"] / 2,
        "button": "left",
        "clickCount": count,
    }
    for kind in ("mousePressed", "mouseReleased"):
        browser.cdp("Input.dispatchMouseEvent", type=kind, **place)


def settle(browser: Browser, test_id: str) -> None:
    browser.settled(browser.see(test_id))


BUTTONS = [
    ("/session", "elsewhere-me"),
    ("/sessions", "session-revoke"),
    ("/sessions/others", "end-confirm"),
    ("/sessions/everywhere", "end-confirm"),
]


@pytest.mark.parametrize(("path", "button"), BUTTONS)
def test_second_half_of_a_double_click_does_nothing(noted: Browser, path: str, button: str) -> None:
    with noted.before_scripts(NOTED):
        noted.open(path)
        settle(noted, button)
        pointer(noted, button, count=2)
        assert sent(noted) == []
        pointer(noted, button)
        assert sent(noted) == [button]


@pytest.mark.parametrize(("path", "button"), BUTTONS)
def test_a_click_right_after_the_page_came_does_nothing(noted: Browser, path: str, button: str) -> None:
    with noted.before_scripts(NOTED):
        noted.open(path)
        pointer(noted, button)
        noted.see(button).send_keys(Keys.ENTER)
        assert sent(noted) == []
        settle(noted, button)
        noted.see(button).send_keys(Keys.ENTER)
        assert sent(noted) == [button]


def test_without_script_the_pointer_is_kept_off_for_a_second(noted: Browser, elsewhere: Elsewhere) -> None:
    noted.scripts(on=False)
    noted.open("/session")
    assert noted.see("elsewhere-me").value_of_css_property("pointer-events") == "none"
    pointer(noted, "elsewhere-me")
    assert noted.see("elsewhere")
    noted.follow("elsewhere-me")
    noted.see_no("elsewhere")


def test_a_window_that_comes_up_ignores_the_first_second(noted: Browser) -> None:
    """A pop-up lures a double click and closes after the first: the second one lands here."""
    with noted.before_scripts(NOTED):
        noted.open("/session")
        settle(noted, "elsewhere-me")
        noted.new_tab()
        noted.driver.close()
        noted.switch_to(noted.home)
        noted.cdp("Page.bringToFront")
        noted.wait(lambda: noted.run("return document.documentElement.dataset.settling !== undefined"))
        pointer(noted, "elsewhere-me")
        assert sent(noted) == []
        settle(noted, "elsewhere-me")
        pointer(noted, "elsewhere-me")
        assert sent(noted) == ["elsewhere-me"]


def test_scripted_event_does_not_make_the_user_wait(noted: Browser) -> None:
    noted.open("/session")
    settle(noted, "elsewhere-me")
    noted.run("window.dispatchEvent(new Event('focus'))")
    assert noted.run("return document.documentElement.dataset.settling === undefined")


def test_keyboard_and_screen_reader_press_at_once(noted: Browser) -> None:
    """Both move the focus and press in one step; a click without a pointer has the detail 0."""
    with noted.before_scripts(NOTED):
        noted.open("/session")
        settle(noted, "elsewhere-me")
        noted.run(
            "const button = document.querySelector('[data-testid=elsewhere-me]'); button.focus(); button.click()"
        )
        noted.press(Keys.SPACE)
        noted.press(Keys.ENTER)
        assert sent(noted) == ["elsewhere-me"] * 3


def test_a_held_key_presses_once(noted: Browser) -> None:
    with noted.before_scripts(NOTED):
        noted.open("/session")
        settle(noted, "elsewhere-me")
        noted.run("document.querySelector('[data-testid=elsewhere-me]').focus()")
        for repeat in (False, True, True):
            key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r", "autoRepeat": repeat}
            noted.cdp("Input.dispatchKeyEvent", type="keyDown", **key)
        assert sent(noted) == ["elsewhere-me"]


def test_warning_under_the_pointer_does_not_sign_out(noted: Browser, pass_time: TimeMachine) -> None:
    """The warning appears over whatever the user was about to click."""
    with noted.before_scripts(NOTED):
        noted.open("/session")
        noted.wait_for_session("active")
        warn(noted, pass_time)
        pointer(noted, "timeout-signout")
        assert sent(noted) == []
        settle(noted, "timeout-signout")
        pointer(noted, "timeout-signout")
        assert sent(noted) == ["timeout-signout"]


def test_two_double_clicks_delete_no_trial_wallet(browser: Browser) -> None:
    """The row as it was found: the button of `/confirm` stands where that of the page before it stood."""
    trial = Trial(browser)
    trial.enter()
    browser.follow("wallet-delete")
    place = browser.see("delete-confirm")
    double = ActionChains(browser.driver, duration=0).double_click(place)
    double.perform()
    double.perform()
    settle(browser, "delete-confirm")
    pointer(browser, "delete-confirm")
    assert browser.path == "/session/wallet/delete", "the word is missing"
    browser.see("delete-word").send_keys("delete")
    browser.follow("delete-confirm")
    pointer(browser, "confirm-button")
    pointer(browser, "confirm-button", count=2)
    panel = ConfirmPanel(browser)
    panel.arrive("wallet.delete")
    assert panel.state == "idle"
    assert trial.half
    settle(browser, "confirm-button")
    pointer(browser, "confirm-button", count=2)
    assert panel.state == "idle"
    trial.confirm()
    browser.arrive_at("/signed-out")
    assert trial.half is None


def test_without_script_deleting_takes_the_word_too(browser: Browser) -> None:
    trial = Trial(browser)
    trial.enter()
    browser.scripts(on=False)
    browser.open("/session/wallet/delete")
    browser.see("delete-word").send_keys("remove")
    browser.follow("delete-confirm")
    assert browser.see("delete-wrong").text == "That is not the word “delete”. Nothing was deleted."
    assert browser.focused == browser.see("delete-word")
