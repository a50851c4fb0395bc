"""An exported private key is in the page only while somebody can be looking at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .conftest import Hold
from .pages import Browser
from .session_page import VALIDATE, turn
from .trial_wallet import Trial

# Lets a test fire the timers of a minute at once.
TIMERS = """
window.minutes = [];
{
  const set = window.setTimeout;
  window.setTimeout = (run, ms, ...rest) => (ms === 60000 ? minutes.push(run) + 1e6 : set(run, ms, ...rest));
}
"""


@pytest.fixture
def shown(browser: Browser) -> Iterator[Browser]:
    """A page that shows the private key."""
    Trial(browser).enter()
    with browser.before_scripts(TIMERS):
        browser.open("/session/wallet/export")
        browser.click("export-show")
        browser.see("private-key")
        yield browser


def source(browser: Browser) -> str:
    return str(browser.run("return document.documentElement.outerHTML"))


def switch_tab(browser: Browser) -> None:
    turn(browser, hidden=True)
    turn(browser, hidden=False)


def print_page(browser: Browser) -> None:
    browser.run("window.addEventListener('beforeprint', () => { window.printed = true; })")
    browser.cdp("Page.printToPDF")
    assert browser.run("return window.printed")


def wait_a_minute(browser: Browser) -> None:
    browser.run("minutes.forEach((run) => run())")


def freeze(browser: Browser) -> None:
    browser.run("document.dispatchEvent(new Event('freeze'))")


@pytest.mark.parametrize("away", [switch_tab, print_page, wait_a_minute, freeze])
def test_the_key_leaves_the_page(shown: Browser, away: Callable[[Browser], None]) -> None:
    key = shown.see("private-key").text
    assert key.removeprefix("0x") in source(shown)
    away(shown)
    assert key.removeprefix("0x") not in source(shown)
    assert "We hid the key again" in shown.see("export-away").text
    shown.click("export-show")
    assert shown.see("private-key").text == key
    assert shown.shown("export-away") is None


def test_the_key_leaves_the_page_under_the_cover(shown: Browser, hold: Hold) -> None:
    key = shown.see("private-key").text
    hold(*VALIDATE)
    shown.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    shown.see("cover")
    assert key.removeprefix("0x") not in source(shown)
    hold.release()
    shown.see_no("cover")
    shown.see("export-away")


def test_a_key_still_being_put_together_is_not_shown(browser: Browser) -> None:
    """The tab was switched between the click and the key."""
    Trial(browser).enter()
    browser.open("/session/wallet/export")
    browser.settled(browser.see("export-show"))
    browser.run(
        "document.querySelector('[data-action=show]').click(); window.dispatchEvent(new Event('beforeprint'))"
    )
    # What was asked first is answered first: the key would be there by now.
    browser.module("share-store", "module.read().then(() => module.read()).then(() => true)")
    assert browser.shown("private-key") is None
    assert browser.all("private-key")[0].get_attribute("textContent") == ""


def test_hiding_the_key_on_request_shows_no_explanation(shown: Browser) -> None:
    shown.click("export-hide")
    shown.see("export-show")
    assert shown.shown("export-away") is None
