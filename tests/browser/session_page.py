"""The page of a session: what it asks the server, its warning, and leaving its tab and coming back."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime

from selenium.webdriver.common.by import By

from .. import constants
from ..constants import IDLE
from ..time_machine import TimeMachine
from .pages import Browser

VALIDATE = (constants.VALIDATE, "GET")
KEEP_ALIVE = (constants.KEEP_ALIVE, "POST")


def warn(browser: Browser, pass_time: TimeMachine, *, left: int = 110) -> None:
    """Let time pass until the warning is due, and come back to the tab."""
    pass_time(IDLE - left)
    browser.look_again()
    browser.see("timeout-dialog")


# Half a minute passes in half a second; other timers run as they are.
_HURRY = """
    {
      const { setTimeout } = window;
      window.setTimeout = (run, ms, ...rest) => setTimeout(run, ms === 30000 ? 500 : ms, ...rest);
    }
"""


def hurried(browser: Browser) -> AbstractContextManager[None]:
    """In pages that are opened now, what is due every 30 seconds is due twice a second."""
    return browser.before_scripts(_HURRY)


def turn(browser: Browser, *, hidden: bool) -> str:
    """Leave the tab for another one or come back, without the focus that may come along. Returns the title."""
    return str(
        browser.run(
            "const [hidden] = arguments;"
            "Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
            "const state = { value: hidden ? 'hidden' : 'visible', configurable: true };"
            "Object.defineProperty(document, 'visibilityState', state);"
            "document.dispatchEvent(new Event('visibilitychange'));"
            "return document.title",
            hidden,
        )
    )


def ask_to_stay(browser: Browser) -> str:
    """Press "Stay signed in", which the page shows in the last five minutes, as if they had begun.

    Return what the page answers beside the button.
    """
    browser.run("document.querySelector('[data-testid=session-soon]').dataset.wasUrgent = ''")
    browser.click("stay-signed-in")
    browser.wait(lambda: "still signed in" in browser.see("stay-result").text, lambda: browser.text)
    return browser.see("stay-result").text


def ends_at(browser: Browser, deadline: str) -> datetime:
    """When the session ends by the sentence `idle-deadline` or `absolute-deadline`."""
    time = browser.see(deadline).find_element(By.TAG_NAME, "time")
    return datetime.fromisoformat(str(time.get_attribute("datetime")))


def press_a_key(browser: Browser) -> None:
    browser.press("a")
