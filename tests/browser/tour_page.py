"""The tour: presses of its buttons, which its drawer may cover until the page is scrolled."""

from __future__ import annotations

from .pages import Browser

CENTRE = "arguments[0].scrollIntoView({ block: 'center' })"


def press(browser: Browser, test_id: str) -> None:
    """Scroll to a button as people do, press it, and wait until another page has come."""
    browser.run(CENTRE, browser.see(test_id))
    browser.follow(test_id)
