"""Live updates on a device that sleeps, is offline, has a wrong clock, many tabs, or a browser that keeps pages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from flask import Flask

from sessions_core.parts.live_updates import LiveUpdates
from sessions_core.web.services import Services

from ..constants import DAY
from .conftest import Elsewhere, Hold
from .connected_page import connected, handle_of, notice, private
from .pages import Browser
from .session_page import VALIDATE
from .wallet_in_page import WalletInPage

WRONG_CLOCK = """
    {
      const Real = Date;
      window.Date = class extends Real {
        constructor(...given) { if (given.length) super(...given); else super(Real.now() + WRONG); }
        static now() { return Real.now() + WRONG; }
      };
    }
"""
REASONS = (
    "return performance.getEntriesByType('navigation')[0].notRestoredReasons.reasons.map(({ reason }) => reason)"
)


@pytest.fixture
def live(services: Services) -> LiveUpdates:
    return services.part(LiveUpdates)


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage, live: LiveUpdates) -> Iterator[Browser]:
    """A browser whose user is signed in, with a page that is connected."""
    browser.expected_complaints.append("WebSocket connection to")
    browser.enter(wallet)
    connected(browser, live)
    yield browser
    browser.switch_to(browser.home)


# -- The back/forward cache ------------------------------------------------------------------------------------------


def test_chromium_keeps_no_page_of_a_session(session: Browser, live: LiveUpdates) -> None:
    """`no-store` is the reason. Back asks the server for the page."""
    session.open("/livez")
    session.wait(lambda: live.hub.count == 0)
    session.driver.back()
    session.wait_for_session("active")
    assert "response-cache-control-no-store" in session.run(REASONS)


@pytest.mark.parametrize("how", ["revoked", "signed out"])
def test_page_that_the_browser_kept_shows_nothing_private(
    app: Flask, session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, live: LiveUpdates, hold: Hold, how: str
) -> None:
    """Some browsers keep pages in spite of `no-store`. Without the header Chromium does, connection or not."""
    app.wsgi_app = _without_no_store(app.wsgi_app)  # type: ignore[method-assign]
    session.open("/session")
    connected(session, live)
    handle = handle_of(session)
    session.run("addEventListener('pageshow', (event) => { window.kept = event.persisted; })")
    if how == "revoked":
        session.open("/livez")
        session.wait(lambda: live.hub.count == 0)
        elsewhere.end(wallet, handle)
    else:
        session.click("sign-out")
        session.arrive_at("/signed-out")
    hold(*VALIDATE)
    session.driver.back()
    session.wait(lambda: session.run("return window.kept"), "the page was not kept")
    assert session.text.startswith("Checking your session")
    assert wallet.address[:6] not in session.text + session.driver.title
    hold.release()
    session.arrive_at("/signed-out")
    assert not private(session, wallet)


def _without_no_store(application: Any) -> Any:
    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            return start_response(status, [each for each in headers if each[0] != "Cache-Control"], *more)

        return application(environ, start)  # type: ignore[no-any-return]

    return answer


# -- Sleep, networks, clocks -----------------------------------------------------------------------------------------


def test_page_that_slept_hears_what_happened(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    """The browser freezes the page: no timer and no message runs. Then it wakes up, twice."""
    handle = handle_of(session)
    session.cdp("Page.setWebLifecycleState", state="frozen")
    elsewhere.sign_in(wallet)
    session.cdp("Page.setWebLifecycleState", state="active")
    assert "New sign-in" in notice(session)
    session.cdp("Page.setWebLifecycleState", state="frozen")
    elsewhere.end(wallet, handle)
    session.cdp("Page.setWebLifecycleState", state="active")
    session.arrive_at("/signed-out")
    assert not private(session, wallet)


@pytest.mark.parametrize("ends", [False, True], ids=["lives", "ends"])
def test_minute_offline_loses_nothing(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, live: LiveUpdates, ends: bool
) -> None:
    """The connection breaks off meanwhile. Nobody is signed out for want of a network."""
    handle = handle_of(session)
    session.offline()
    session.wait_for_session("offline")
    live.stop()
    elsewhere.sign_in(wallet)
    if ends:
        elsewhere.end(wallet, handle)
    assert session.session_state == "offline"
    session.online()
    if ends:
        session.arrive_at("/signed-out")
    else:
        connected(session, live)
        assert "New sign-in" in notice(session)


@pytest.mark.parametrize("days", [-1, 1])
def test_wrong_clock_of_the_device_changes_nothing(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, live: LiveUpdates, days: int
) -> None:
    with session.before_scripts(WRONG_CLOCK.replace("WRONG", str(days * DAY * 1000))):
        session.open("/session")
        connected(session, live)
        elsewhere.sign_in(wallet)
        assert "New sign-in" in notice(session)
        elsewhere.end(wallet, handle_of(session))
        session.arrive_at("/signed-out")


# -- Many tabs -------------------------------------------------------------------------------------------------


def test_twenty_tabs_make_one_connection(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, live: LiveUpdates
) -> None:
    """They are opened in the background at once. When the session ends, all of them are left."""
    session.run("""
        window.opened = 0;
        new BroadcastChannel("wallet-session-live").onmessage = ({ data }) => { opened += data.type === "asked"; };
    """)
    handle = handle_of(session)
    for _ in range(19):
        session.cdp("Target.createTarget", url=session.origin + "/session", background=True)
    session.wait(lambda: session.run("return opened") == 19, lambda: f"{session.run('return opened')} tabs")
    assert live.hub.count == 1
    elsewhere.end(wallet, handle)
    for tab in session.driver.window_handles:
        session.switch_to(tab)
        session.arrive_at("/signed-out")
        assert not private(session, wallet)
