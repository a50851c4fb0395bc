"""axe-core in Chromium: light and dark, on a phone and on a desk."""

from __future__ import annotations

from pathlib import Path

from .pages import Browser

AXE = (Path(__file__).parent / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
# All rules by light; by dark those that colours decide: nothing else is different there, and a run takes a second.
RUN = """
    const [dark, done] = arguments;
    axe.run(document, {
      resultTypes: ["violations"],
      runOnly: dark
        ? { type: "rule", values: ["color-contrast", "link-in-text-block"] }
        : ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"],
    }).then(({ violations }) => done(violations.map(({ id, nodes }) =>
      id + ": " + nodes.map(({ target, failureSummary }) => target + " " + failureSummary).join("; "))),
      (error) => done([String(error)]));
"""
LOOKS = {
    f"{width} {'dark' if dark else 'light'}": {"width": width, "dark": dark}
    for width in (320, 1280)
    for dark in (False, True)
}


def check(browser: Browser, place: str) -> None:
    """Assert that axe finds nothing on the page, and that it is no wider than its window; `place` names it."""
    found = []
    for look, options in LOOKS.items():
        browser.look(**options)
        browser.run("if (!window.axe) { " + AXE + " }")
        found += [f"{place}, {look}: {each}" for each in browser.driver.execute_async_script(RUN, options["dark"])]
        overflow = browser.run("return document.documentElement.scrollWidth - innerWidth")
        if overflow > 0:
            found.append(f"{place}, {look}: {overflow} px wider than the window")
    browser.look()
    assert not found, "\n".join(found)


def open_without_script(browser: Browser, path: str) -> None:
    """Open a page as a browser without JavaScript does."""
    browser.scripts(on=False)
    browser.open(path)
    # For axe alone: what the page did not run when it was read, it does not run any more.
    browser.scripts(on=True)
