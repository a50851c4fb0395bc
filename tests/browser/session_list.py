"""The page that lists the sessions of an account."""

from __future__ import annotations

from contextlib import AbstractContextManager

from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from .pages import Browser, part

# The name of a browser that is longer than its place, and a script.
LONG = "Mozilla/5.0 (X11; Linux x86_64) <script>document.title='run'</script> " + "W" * 400


def rows(browser: Browser) -> list[WebElement]:
    """Return the sessions in the order of the page."""
    return browser.all("session-row")


def row(browser: Browser, handle: str) -> WebElement:
    """Return the row of one session."""
    return browser.driver.find_element(By.CSS_SELECTOR, f'[data-handle="{handle}"]')


def names(browser: Browser) -> list[str]:
    """Return the devices in the order of the page."""
    return [part(each, "session-device").text for each in rows(browser)]


def message(browser: Browser) -> WebElement:
    """What the last form did; reading starts there."""
    found = browser.see("message")
    browser.wait(lambda: browser.focused == found, "reading does not start at the message")
    return found


def unheard(browser: Browser) -> AbstractContextManager[None]:
    """In pages that are opened now, nothing tells that sessions began or ended."""
    return browser.before_scripts(
        "addEventListener('DOMContentLoaded', () => document.querySelector('live-updates')?.remove())"
    )


def state(browser: Browser) -> str | None:
    """Return the state of the element `<session-list>`."""
    return browser.see("session-list").get_attribute("data-state")


def come_back(browser: Browser, *, to: str = "ready") -> None:
    """Come back to the tab, and wait until the list has asked how things stand."""
    browser.run("document.querySelector('session-list').dataset.state = 'idle'")
    browser.look_again()
    browser.wait(lambda: state(browser) == to, lambda: f"the list is {state(browser)}, not {to}")


def give_name(browser: Browser, handle: str, label: str) -> str:
    """Give a session a name as a person does; return what the page says then."""
    details = part(row(browser, handle), "session-name")
    if details.get_attribute("open") is None:
        details.find_element(By.TAG_NAME, "summary").click()
    field = part(details, "session-label")
    field.clear()
    field.send_keys(label)
    page = browser.driver.find_element(By.TAG_NAME, "html")
    part(details, "session-save").click()
    browser.wait(lambda: page != browser.driver.find_element(By.TAG_NAME, "html"), "nothing was saved")
    return message(browser).text
