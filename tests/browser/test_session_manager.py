"""`SessionManager` with the site's own cookie: it says what the server says, whatever else happens to the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response

from sessions_core import sessionless
from sessions_core.web.services import Services

from ..actors import Wallet
from ..constants import DAY, IDLE, KEEP_ALIVE, VALIDATE
from ..documented import blocks
from ..time_machine import TimeMachine
from .clocks_in_page import WATCH
from .conftest import Hold, Interruption, account_of, refusal
from .library_page import PAGE, PATH, LibraryPage, Requests, add_page
from .pages import ROOT, Browser
from .session_page import press_a_key
from .wallet_in_page import WalletInPage


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return add_page(make_app())


@pytest.fixture
def requests(app: Flask) -> Requests:
    return Requests(app)


@pytest.fixture
def page(browser: Browser) -> LibraryPage:
    return LibraryPage(browser)


@pytest.fixture
def signed_in(browser: Browser, wallet: WalletInPage, page: LibraryPage) -> Iterator[LibraryPage]:
    """The page of a user who has signed in, with a manager that was started."""
    browser.take_cookie(wallet)
    page.open(disableAutoSessionKeepAlive=True)
    page.wait_for("active")
    yield page
    browser.switch_to(browser.home)


@pytest.fixture
def revoke(services: Services, app: Flask, wallet: WalletInPage) -> Callable[[], None]:
    """End all sessions of the wallet from another device."""

    def revoke() -> None:
        with app.test_request_context():
            for live in services.repository.living(str(account_of(wallet))):
                services.lifecycle.revoke_handle(account_of(wallet), live.record.handle, "revoked")

    return revoke


# -- What is known ---------------------------------------------------------------------------------------------------


def test_manager_says_what_the_server_says(signed_in: LibraryPage, wallet: WalletInPage) -> None:
    session = signed_in.browser.run("return manager.session")
    assert session["account"] == wallet.account
    assert "read:profile" in session["permissions"]
    assert "csrf_token" not in session
    assert IDLE - 20 < signed_in.browser.run("return manager.timeRemaining") <= IDLE
    assert signed_in.call("return manager.getStoredSession()") == session
    assert signed_in.told() == [["change", {"state": "active", "session": session, "reason": None}]]


def test_visitor_is_told_nothing_but_no_token(page: LibraryPage) -> None:
    page.open()
    assert page.state == "signed_out"
    assert page.call("return manager.validateSession()") == {
        "valid": False, "reason": "no_token", "code": "no_token", "endReason": None,
    }  # fmt: skip
    assert [name for name, _ in page.told()] == ["change"]


def test_wallet_signs_in_by_the_page(page: LibraryPage) -> None:
    """`createSession` has the server write the text; the cookie that comes is one that no script can read."""
    page.open()
    wallet = Wallet()
    session = page.sign_in(wallet, wallet="MetaMask", duration=3600)
    assert session["account"] == wallet.account()
    assert page.state == "active"
    assert page.stored()["cookie"] == ""
    page.open()
    assert page.state == "active"


def test_text_with_another_statement_is_not_signed(page: LibraryPage) -> None:
    page.open()
    assert "another statement" in page.refused(
        "return manager.createSession({ account: 'eip155:1:0x52908400098527886E0F7030069857D2E4169EE7',"
        " statement: 'Pay.', sign: () => { throw new Error('asked') } })"
    )


def test_validating_never_extends_the_session(
    signed_in: LibraryPage, requests: Requests, pass_time: TimeMachine
) -> None:
    pass_time(600)
    answer = signed_in.call("return manager.validateSession()")
    assert answer["valid"]
    assert signed_in.call("return manager.isSessionActive()") is True
    assert signed_in.browser.run("return manager.timeRemaining") <= IDLE - 600
    assert requests.count(KEEP_ALIVE) == 0


@pytest.mark.parametrize("method", ["keepSessionAlive", "refreshSession"])
def test_extending_starts_the_idle_clock_again(signed_in: LibraryPage, pass_time: TimeMachine, method: str) -> None:
    pass_time(600)
    assert signed_in.call(f"return manager.{method}()") is True
    assert signed_in.browser.run("return manager.timeRemaining") > IDLE - 20


def test_expired_session_is_refused_everywhere(signed_in: LibraryPage, pass_time: TimeMachine) -> None:
    pass_time(IDLE + 1)
    answer = signed_in.call("return manager.validateSession()")
    assert answer == {"valid": False, "reason": "expired", "code": "session_expired", "endReason": "idle"}
    for method in ("keepSessionAlive", "refreshSession", "isSessionActive"):
        assert signed_in.call(f"return manager.{method}()") is False
    names = [name for name, _ in signed_in.told()]
    assert names == ["change", "session_expired", "change", "signed_out", "refresh_failed"]
    assert signed_in.told("refresh_failed") == [{"code": "session_expired", "reason": "idle"}]


def test_logout_ends_the_session_at_the_server(
    signed_in: LibraryPage, services: Services, wallet: WalletInPage
) -> None:
    assert signed_in.call("return manager.logout()") is True
    assert services.repository.living(str(account_of(wallet))) == []
    assert signed_in.state == "signed_out"
    assert signed_in.told("signed_out") == [{"reason": "signed_out"}]
    assert signed_in.call("return manager.logout()") is True


def test_missing_permission_is_told(signed_in: LibraryPage) -> None:
    """The page may ask for the permission; the call fails, and the session goes on."""
    assert signed_in.refused("return manager.request('/api/reports', { method: 'POST' })") == "permission_denied"
    told = signed_in.hear("permission_denied")
    assert (told["missing"], told["path"], told["method"]) == ("admin", "/api/reports", "POST")
    assert signed_in.state == "active"


# -- The end ---------------------------------------------------------------------------------------------------------


def test_revoked_session_leads_to_the_sign_in_page(signed_in: LibraryPage, revoke: Callable[[], None]) -> None:
    revoke()
    signed_in.browser.look_again()
    signed_in.browser.arrive_at("/sign-in")
    assert signed_in.browser.path == f"/sign-in?next={PATH.replace('/', '%2F')}"


def test_page_may_stay_when_the_session_was_revoked(signed_in: LibraryPage, revoke: Callable[[], None]) -> None:
    """`preventDefault` keeps the page; the session is gone all the same."""
    signed_in.browser.run("manager.addEventListener('session_invalid', (event) => event.preventDefault())")
    revoke()
    signed_in.browser.look_again()
    told = signed_in.hear("session_invalid")
    assert told == {"code": "session_invalid", "reason": "revoked"}
    assert signed_in.browser.path == PATH
    assert signed_in.browser.run("return [manager.state, manager.session]") == ["signed_out", None]
    assert signed_in.browser.run("return manager.getSnapshot().reason") == "revoked"


def test_leading_tab_asks_by_itself(
    browser: Browser, wallet: WalletInPage, page: LibraryPage, revoke: Callable[[], None]
) -> None:
    """So a revocation is seen although the user does not come back to the page."""
    browser.take_cookie(wallet)
    page.open(checkEvery=1, signInUrl=None)
    browser.wait(lambda: browser.run("return manager.leads"))
    revoke()
    assert page.hear("session_invalid")["reason"] == "revoked"


def test_other_account_in_this_browser_is_told(
    signed_in: LibraryPage, wallet: WalletInPage, make_wallet: Callable[..., WalletInPage]
) -> None:
    before, other = signed_in.browser.run("return manager.session.session_id"), make_wallet(name="Other")
    signed_in.browser.take_cookie(other)
    signed_in.browser.look_again()
    assert signed_in.hear("replaced") == {"previous": before}
    assert signed_in.browser.run("return manager.session.account") == other.account


# -- The network -----------------------------------------------------------------------------------------------------


def test_lost_network_signs_no_user_out(signed_in: LibraryPage, requests: Requests) -> None:
    signed_in.browser.offline()
    signed_in.wait_for("offline")
    assert signed_in.browser.run("return manager.session.account")
    assert signed_in.call("return manager.validateSession()")["reason"] == "network_error"
    assert signed_in.call("return manager.isSessionActive()") is True
    assert signed_in.call("return manager.keepSessionAlive()") is False
    assert signed_in.call("return manager.logout()") is False
    assert signed_in.state == "offline"
    signed_in.browser.online()
    signed_in.hear("reconnected")
    assert signed_in.state == "active"


def test_busy_server_is_asked_again_later(signed_in: LibraryPage, interrupt: Interruption) -> None:
    """After a pause that grows, of random length, and not before the server's own `Retry-After`."""
    interrupt.answers[VALIDATE, "GET"] = lambda: refusal("store_unavailable", 503)
    for attempt in (1, 2, 3):
        assert signed_in.call("return manager.validateSession()")["code"] == "store_unavailable"
        assert signed_in.told("network_error")[attempt - 1]["retryIn"] <= 2 ** (attempt - 1)
    assert signed_in.state == "offline"

    def later() -> Any:
        answer, status = refusal("store_unavailable", 503)
        answer.headers["Retry-After"] = "7"
        return answer, status

    interrupt.answers[VALIDATE, "GET"] = later
    signed_in.call("return manager.validateSession()")
    assert signed_in.told("network_error")[-1]["retryIn"] >= 7
    interrupt.answers.clear()
    signed_in.browser.look_again()
    signed_in.hear("reconnected")


def test_page_comes_back_by_itself(signed_in: LibraryPage, interrupt: Interruption) -> None:
    interrupt.answers[VALIDATE, "GET"] = lambda: ("", 503)
    signed_in.call("return manager.validateSession()")
    interrupt.answers.clear()
    signed_in.hear("reconnected")
    assert signed_in.state == "active"


# -- Clocks ----------------------------------------------------------------------------------------------------------


def with_clocks(browser: Browser) -> Any:
    """Let a test move the clocks of the page, and run the timers that are due."""
    return browser.before_scripts((ROOT / "sessions_core/testing/clocks_in_page.js").read_text())


def advance(page: LibraryPage, seconds: float) -> None:
    page.browser.run("sessionsTestClocks.advance(arguments[0] * 1000)", seconds)


@pytest.mark.parametrize("days", [-1, 1])
def test_wrong_clock_of_the_device_changes_nothing(
    browser: Browser, wallet: WalletInPage, page: LibraryPage, days: int
) -> None:
    browser.take_cookie(wallet)
    with browser.before_scripts(f"{{ const real = Date.now; Date.now = () => real() + {days * DAY * 1000}; }}"):
        page.open()
    assert page.state == "active"
    assert IDLE - 20 < browser.run("return manager.timeRemaining") <= IDLE
    assert [name for name, _ in page.told()] == ["change"]


@pytest.mark.parametrize("moved", ["both", "wall"])
def test_after_sleep_the_server_is_asked(
    browser: Browser, wallet: WalletInPage, page: LibraryPage, pass_time: TimeMachine, moved: str
) -> None:
    """On some systems the monotonic clock stands still meanwhile."""
    browser.take_cookie(wallet)
    with browser.before_scripts(WATCH):
        page.open()
    pass_time(IDLE + 60)
    browser.run(
        "ahead.wall += arguments[0]; if (arguments[1]) ahead.monotonic += arguments[0]",
        (IDLE + 60) * 1000,
        moved == "both",
    )
    assert page.hear("refresh_failed") == {"code": "session_expired", "reason": "idle"}
    assert page.state == "signed_out"


class TestThirtyDays:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        long = {"SESSIONS_CORE_IDLE_SECONDS": 30 * DAY, "SESSIONS_CORE_ABSOLUTE_SECONDS": 30 * DAY}
        return overrides | long

    def test_session_of_thirty_days_lives_that_long(
        self, browser: Browser, wallet: WalletInPage, page: LibraryPage, pass_time: TimeMachine
    ) -> None:
        """A timer of more than 24.8 days would run at once."""
        browser.take_cookie(wallet)
        with with_clocks(browser):
            page.open(checkEvery=0)
        assert browser.run("return manager.timeRemaining") > 30 * DAY - 20
        for _ in range(2):
            pass_time(14 * DAY)
            advance(page, 14 * DAY)
            assert page.call("return manager.isSessionActive()") is True
        assert page.told("expiring") == []
        pass_time(2 * DAY - 200)
        advance(page, 2 * DAY - 200)
        assert page.hear("expiring")["timeRemaining"] <= 200
        pass_time(201)
        advance(page, 201)
        assert page.hear("refresh_failed")["code"] == "session_expired"


def test_page_is_told_before_the_session_ends(
    browser: Browser, wallet: WalletInPage, page: LibraryPage, pass_time: TimeMachine
) -> None:
    """Once for each end, if the user does nothing: an idle user's session is not refreshed."""
    browser.take_cookie(wallet)
    with with_clocks(browser):
        page.open(refreshThreshold=300, checkEvery=0)
    pass_time(IDLE - 290)
    advance(page, IDLE - 290)
    told = page.hear("expiring")
    assert told["end"] == "idle"
    assert 280 <= told["timeRemaining"] <= 290
    advance(page, 5)
    assert len(page.told("expiring")) == 1
    assert page.call("return manager.refreshSession()") is True
    browser.run("manager.scheduleRefresh()")
    assert len(page.told("expiring")) == 1


# -- Activity --------------------------------------------------------------------------------------------------------


@pytest.fixture
def watched(browser: Browser, wallet: WalletInPage, page: LibraryPage, requests: Requests) -> LibraryPage:
    browser.take_cookie(wallet)
    with with_clocks(browser):
        page.open(checkEvery=0)
    browser.run("document.querySelector('#field').focus()")
    return page


def test_active_user_keeps_the_session_alive(watched: LibraryPage, requests: Requests) -> None:
    """At most once a minute, and only what the browser itself reports counts."""
    advance(watched, 61)
    watched.browser.run("document.body.dispatchEvent(new Event('keydown', { bubbles: true }))")
    watched.call("await manager.validateSession()")
    assert requests.count(KEEP_ALIVE) == 0
    for _ in range(5):
        press_a_key(watched.browser)
    watched.browser.wait(lambda: requests.count(KEEP_ALIVE) == 1)
    advance(watched, 61)
    watched.browser.wait(lambda: requests.count(KEEP_ALIVE) == 2)


def test_session_of_an_active_user_is_refreshed_in_time(
    browser: Browser, wallet: WalletInPage, page: LibraryPage, requests: Requests, pass_time: TimeMachine
) -> None:
    """Before its end, although the activity of the last minute was not reported yet."""
    browser.take_cookie(wallet)
    page.open(refreshThreshold=600)
    press_a_key(browser)
    pass_time(IDLE - 500)
    page.call("await manager.validateSession()")
    browser.wait(lambda: browser.run("return manager.timeRemaining") > IDLE - 60)
    assert requests.count(KEEP_ALIVE) == 1
    assert page.told("expiring") == []


def test_page_can_turn_the_keep_alive_off(watched: LibraryPage, requests: Requests) -> None:
    watched.browser.run("document.documentElement.toggleAttribute('data-disable-auto-session-keep-alive', true)")
    advance(watched, 61)
    press_a_key(watched.browser)
    watched.call("await manager.validateSession()")
    assert requests.count(KEEP_ALIVE) == 0


def test_own_pages_can_turn_the_keep_alive_off(
    browser: Browser, wallet: WalletInPage, app: Flask, requests: Requests
) -> None:
    """The same attribute, in a page with the warning of the package."""
    browser.enter(wallet)
    with with_clocks(browser):
        browser.driver.refresh()
    browser.wait_for_session("active")
    browser.run("document.documentElement.toggleAttribute('data-disable-auto-session-keep-alive', true)")
    browser.run("sessionsTestClocks.advance(61000)")
    press_a_key(browser)
    browser.module("http", f"module.request('{VALIDATE}').then(() => true)")
    assert requests.count(KEEP_ALIVE) == 0
    browser.run("document.documentElement.toggleAttribute('data-disable-auto-session-keep-alive', false)")
    press_a_key(browser)
    browser.wait(lambda: requests.count(KEEP_ALIVE) == 1)


def test_manager_leaves_the_keep_alive_to_our_own_pages(
    browser: Browser, wallet: WalletInPage, page: LibraryPage, requests: Requests
) -> None:
    """On a page with `<session-timeout>` one of the two reports activity."""
    browser.enter(wallet)
    with with_clocks(browser):
        page.open("/session", checkEvery=0)
    page.wait_for("active")
    advance(page, 61)
    press_a_key(browser)
    browser.wait(lambda: requests.count(KEEP_ALIVE) == 1)
    page.call("await manager.validateSession()")
    assert requests.count(KEEP_ALIVE) == 1


def test_manager_hears_the_live_updates_of_our_own_pages(signed_in: LibraryPage, revoke: Callable[[], None]) -> None:
    signed_in.browser.run("manager.addEventListener('session_invalid', (event) => event.preventDefault())")
    revoke()
    signed_in.browser.run("document.dispatchEvent(new Event('session-doubted'))")
    signed_in.wait_for("signed_out")


# -- Other tabs ------------------------------------------------------------------------------------------------------


def test_twenty_tabs_make_one_refresh(
    signed_in: LibraryPage, requests: Requests, pass_time: TimeMachine, hold: Hold
) -> None:
    tabs = signed_in.open_tabs(20, disableAutoSessionKeepAlive=True)
    leading = 0
    for tab in tabs:
        signed_in.browser.switch_to(tab)
        leading += signed_in.browser.run("return manager.leads")
    assert leading == 1
    pass_time(600)
    signed_in.refresh_in_all(tabs, hold, KEEP_ALIVE)
    assert requests.count(KEEP_ALIVE) == 1
    for tab in tabs:
        signed_in.browser.switch_to(tab)
        signed_in.browser.wait(lambda: signed_in.browser.run("return manager.timeRemaining") > IDLE - 60)


def test_next_tab_leads_when_the_first_is_gone(signed_in: LibraryPage) -> None:
    browser = signed_in.browser
    browser.wait(lambda: browser.run("return manager.leads"))
    tab = browser.new_tab()
    signed_in.open()
    assert browser.run("return manager.leads") is False
    browser.switch_to(browser.home)
    browser.run("manager.stop()")
    browser.switch_to(tab)
    browser.wait(lambda: browser.run("return manager.leads"))


def test_sign_out_in_one_tab_reaches_the_others(signed_in: LibraryPage) -> None:
    browser = signed_in.browser
    browser.run("manager.addEventListener('session_invalid', (event) => event.preventDefault())")
    browser.new_tab()
    signed_in.open()
    assert signed_in.call("return manager.logout()") is True
    browser.switch_to(browser.home)
    signed_in.wait_for("signed_out")


@pytest.mark.parametrize("way", ["channel", "storage"])
def test_forged_hints_change_nothing(
    browser: Browser, wallet: WalletInPage, page: LibraryPage, requests: Requests, way: str
) -> None:
    """They make the page ask, once a second at most."""
    browser.take_cookie(wallet)
    with browser.before_scripts("delete window.BroadcastChannel" if way == "storage" else ""):
        page.open(disableAutoSessionKeepAlive=True)
    before = browser.run("return manager.session")
    asked = requests.count(VALIDATE, "GET")
    browser.new_tab()
    browser.open(PATH)
    browser.run("""
        const [way] = arguments;
        const channels = ["wallet-session", "wallet-session-live"].map((name) => new BroadcastChannel(name));
        for (let at = 0; at < 300; at += 1) {
          for (const type of ["signed_out", "cleared", "extended", "signing_out", "session_invalid", 7]) {
            const message = { type, session: { account: "eip155:1:0x0" }, idle_expires_at: "2100-01-01T00:00:00Z" };
            if (way === "storage") localStorage.setItem("wallet-session", JSON.stringify({ message, number: at }));
            else for (const channel of channels) channel.postMessage(message);
          }
        }
        localStorage.clear();
    """, way)  # fmt: skip
    browser.switch_to(browser.home)
    browser.wait(lambda: requests.count(VALIDATE, "GET") > asked)
    page.call("await manager.validateSession()")
    after = browser.run("return manager.session")
    assert page.state == "active"
    assert {**after, "now": 0, "time_remaining": 0} == {**before, "now": 0, "time_remaining": 0}
    assert requests.count(VALIDATE, "GET") - asked <= 5
    assert page.told()[1:] == []


def test_page_that_was_put_away_shows_nothing_private(signed_in: LibraryPage, interrupt: Interruption) -> None:
    """The back/forward cache keeps a page as it was; the server decides before anything of it is shown again."""
    browser = signed_in.browser
    browser.run("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert browser.run("return [manager.state, manager.session]") == ["unknown", None]
    browser.wait(lambda: browser.run("return navigator.locks.query().then(({ held }) => held.length)") == 0)
    browser.run("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    signed_in.wait_for("active")


def test_cookie_session_leaves_no_trace_in_storage(signed_in: LibraryPage) -> None:
    signed_in.call("await manager.refreshSession()")
    nothing = {"found": [], "local": {}, "session": {}, "cookie": ""}
    assert signed_in.stored() == nothing
    signed_in.call("await manager.logout()")
    assert signed_in.stored() == nothing


def test_documented_page_runs_as_it_stands(browser: Browser, wallet: WalletInPage, app: Flask) -> None:
    """The first script of docs/browser-library.md, as a module of a page with our policy."""
    (script,) = blocks("browser-library.md", "Start", "js")

    @app.get("/documented")
    @sessionless
    def documented() -> str:
        return PAGE.replace("</body>", '<p id="who"></p><script type="module" src="/documented.js"></script></body>')

    @app.get("/documented.js")
    @sessionless
    def module() -> Response:
        return Response(script, mimetype="text/javascript")

    browser.take_cookie(wallet)
    browser.open("/documented")
    browser.wait(lambda: browser.run("return document.querySelector('#who').textContent") == wallet.account)
    assert browser.run("return document.body.dataset.state") == "active"


def test_failure_of_a_route_is_no_lost_network(signed_in: LibraryPage, interrupt: Interruption) -> None:
    interrupt.answers["/api/reports", "POST"] = lambda: ("<h1>500</h1>", 500)
    code = signed_in.refused("return manager.request('/api/reports', { method: 'POST' })")
    assert (code, signed_in.state) == ("unexpected_answer", "active")
    interrupt.answers["/api/reports", "POST"] = lambda: ("", 503)
    signed_in.refused("return manager.request('/api/reports', { method: 'POST' })")
    signed_in.hear("network_error")
    signed_in.hear("reconnected")


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/x", "https://evil.example/x", "/\\\\evil.example", "x",
        "/\\t/evil.example/x", "/\\n/evil.example/x", "/\\r\\\\evil.example/x", "\\t//evil.example/x",
    ],
)  # fmt: skip
def test_request_goes_to_the_site_alone(signed_in: LibraryPage, path: str) -> None:
    assert "begins with one slash" in signed_in.refused(f"return manager.request('{path}')")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"siteUrl": "http://app.example.org"}, "in the clear"),
        ({"siteUrl": "https://app.example.org", "tokens": False}, "never cookies"),
    ],
)
def test_unsafe_options_are_refused(browser: Browser, page: LibraryPage, options: dict[str, Any], error: str) -> None:
    browser.open(PATH)
    code = f"const {{ SessionManager }} = await import('{page.library}/session-manager.js');"
    assert error in page.refused(f"{code} new SessionManager({json.dumps(options)})")
