"""A page whose session may have ended is taken away: whatever the application has opened on it, and with a way on."""

from __future__ import annotations

import pytest
from selenium.webdriver.common.keys import Keys

from ..time_machine import TimeMachine
from .clocks_in_page import WATCH, let_pass
from .conftest import Hold, Interruption
from .pages import Browser
from .session_page import VALIDATE, warn
from .wallet_in_page import WalletInPage


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Browser:
    """A browser whose user looks at their session."""
    browser.enter(wallet)
    browser.wait_for_session("active")
    return browser


CAN_NOT_CHECK = "We can\N{RIGHT SINGLE QUOTATION MARK}t check your session"
# What an application may have open. Each marks its content with the id "secret".
OPEN = {
    "modal dialog": """
        const dialog = document.createElement("dialog");
        dialog.id = "secret";
        dialog.textContent = "Invoice 7";
        document.body.append(dialog);
        dialog.showModal();
    """,
    "modal dialog in a shadow tree": """
        const host = document.createElement("div");
        host.id = "secret";
        document.body.append(host);
        const dialog = document.createElement("dialog");
        dialog.textContent = "Invoice 7";
        host.attachShadow({ mode: "open" }).append(dialog);
        dialog.showModal();
    """,
    "popover": """
        const popover = document.createElement("div");
        popover.id = "secret";
        popover.popover = "manual";
        popover.textContent = "Invoice 7";
        document.body.append(popover);
        popover.showPopover();
    """,
    "visible child above everything": """
        const box = document.createElement("div");
        box.id = "secret";
        box.textContent = "Invoice 7";
        const style = { position: "fixed", inset: "0", zIndex: "2147483647", background: "gold" };
        Object.assign(box.style, style);
        box.style.setProperty("visibility", "visible", "important");
        box.style.setProperty("display", "block", "important");
        document.querySelector("main").append(box);
    """,
    "beside the page": """
        const box = document.createElement("div");
        box.id = "secret";
        box.textContent = "Invoice 7";
        box.style.setProperty("display", "flex", "important");
        document.documentElement.append(box);
    """,
    "inside the element": """
        const box = document.createElement("div");
        box.id = "secret";
        box.textContent = "Invoice 7";
        document.querySelector("session-timeout").append(box);
    """,
}


def secret_shown(browser: Browser) -> bool:
    shown = "const found = document.getElementById('secret'); return found.getClientRects().length > 0"
    return bool(browser.run(shown)) or "Invoice 7" in browser.text


def lose_the_server(browser: Browser, interrupt: Interruption) -> None:
    """Come back to a page whose time has run out while the server does not answer."""
    interrupt.answers[VALIDATE] = lambda: ("down", 503)
    browser.run("window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    browser.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    browser.wait(lambda: CAN_NOT_CHECK in browser.text, lambda: browser.text)


@pytest.mark.parametrize("what", OPEN)
def test_cover_hides_the_page_and_its_button_works(
    session: Browser,
    wallet: WalletInPage,
    interrupt: Interruption,
    what: str,
) -> None:
    session.run(OPEN[what])
    assert secret_shown(session)
    style = session.run("return document.getElementById('secret').getAttribute('style')")
    lose_the_server(session, interrupt)
    assert not secret_shown(session)
    assert wallet.address[:6] not in session.text
    assert session.driver.title == CAN_NOT_CHECK
    inert = "return Array.from(document.body.children).every((each) => each.inert || each.matches('session-timeout'))"
    assert session.run(inert)
    interrupt.answers.clear()
    session.see("cover-recheck").click()
    session.wait_for_session("active")
    session.see_no("cover")
    assert secret_shown(session), "given back as it was"
    assert (session.run("return document.getElementById('secret').getAttribute('style')") or None) == style
    assert session.run("return document.querySelectorAll('[inert]').length") == 0
    assert session.driver.title.startswith("Your session")


@pytest.mark.parametrize("what", OPEN)
def test_content_opened_on_a_covered_page_stays_hidden(
    session: Browser,
    interrupt: Interruption,
    what: str,
) -> None:
    lose_the_server(session, interrupt)
    session.run(OPEN[what])
    session.wait(lambda: not secret_shown(session), "it shows")
    # A modal dialog of the page would keep the pointer from the button for good.
    center = (
        "const box = document.querySelector('[data-testid=cover-recheck]').getBoundingClientRect();"
        "const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
        "return top !== null && top.closest('[data-testid=cover-recheck]') !== null"
    )
    session.wait(lambda: session.run(center), "the button can't be reached")
    interrupt.answers.clear()
    # By a script: the page asks by itself too, and may be given back before a pointer gets there.
    session.run("document.querySelector('[data-testid=cover-recheck]').click()")
    session.wait_for_session("active")
    session.see_no("cover")


def test_full_screen_ends_under_the_cover(session: Browser, interrupt: Interruption) -> None:
    session.run(
        "document.querySelector('main').addEventListener('click', ({ currentTarget: it }) => it.requestFullscreen())"
    )
    session.see("session-account").click()
    session.wait(lambda: session.run("return document.fullscreenElement !== null"), "not in full screen")
    lose_the_server(session, interrupt)
    session.wait(lambda: session.run("return document.fullscreenElement === null"), "still in full screen")


def test_esc_does_not_open_the_cover(session: Browser, interrupt: Interruption) -> None:
    lose_the_server(session, interrupt)
    for _ in range(3):
        session.press(Keys.ESCAPE)
    session.wait(lambda: session.shown("cover"), "Esc has opened it")
    assert session.run("return document.querySelector('[data-part=cover]').matches(':modal')")


def test_expired_page_is_covered_and_its_warning_closed(
    session: Browser,
    wallet: WalletInPage,
    pass_time: TimeMachine,
    hold: Hold,
) -> None:
    """The page behind the warning's backdrop could be read until the server had answered."""
    with session.before_scripts(WATCH):
        session.driver.refresh()
    session.wait_for_session("active")
    warn(session, pass_time, left=60)
    hold(*VALIDATE)
    pass_time(61)
    let_pass(session, 61)
    session.see("cover")
    assert session.shown("timeout-dialog") is None
    assert wallet.address[:6] not in session.text
    hold.release()
    session.arrive_at("/signed-out")


def test_focus_and_scroll_position_come_back_with_the_page(session: Browser, interrupt: Interruption) -> None:
    session.look(height=300)
    session.run("document.querySelector('[data-testid=to-activity]').focus(); scrollTo(0, 200)")
    lose_the_server(session, interrupt)
    interrupt.answers.clear()
    session.see("cover-recheck").click()
    session.wait_for_session("active")
    session.see_no("cover")
    assert session.focused.get_attribute("data-testid") == "to-activity"
    assert session.run("return scrollY") == 200
