"""Scripts that note what a page asks the server, and that move the clocks of its device."""

from __future__ import annotations

from .pages import Browser

# Notes what a page asks the server, and lets a test move both clocks of the device.
WATCH = """
window.asked = [];
window.ahead = { monotonic: 0, wall: 0 };
{
  const [fetch, monotonic, wall] = [window.fetch, performance.now.bind(performance), Date.now];
  window.fetch = (url, options) => { asked.push([url, options.method]); return fetch(url, options); };
  performance.now = () => monotonic() + ahead.monotonic;
  Date.now = () => wall() + ahead.wall;
}
"""

# All that takes twenty seconds or more takes twenty milliseconds.
HURRY = "{ const real = window.setTimeout; window.setTimeout = (run, ms) => real(run, ms >= 20000 ? 20 : ms); }"
# Lets a test move the clock of the page forward: `window.later` is by how many milliseconds.
LATER = (
    "{ const real = performance.now.bind(performance); window.later = 0;"
    " performance.now = () => real() + window.later; }"
)


def asked(browser: Browser) -> list[tuple[str, str]]:
    """What the page has asked the server so far; a question is noted while the event that causes it is handled."""
    return [(path, method) for path, method in browser.run("return asked")]


def let_pass(browser: Browser, seconds: float) -> None:
    """Let time pass for the device alone."""
    browser.run("ahead.monotonic += arguments[0]; ahead.wall += arguments[0]", seconds * 1000)
