"""`SessionManager` without cookies: tokens in memory or in a `SecureStorage`, and one refresh for all tabs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..actors import Wallet
from ..constants import IDLE, KEEP_ALIVE, VALIDATE
from ..servers import serving
from ..time_machine import TimeMachine
from .clocks_in_page import WATCH
from .conftest import Hold, Site
from .library_page import PAGE, LibraryPage, Requests, add_page, served_from_disk
from .pages import Browser

REFRESH, LOGOUT = "/api/auth/sessions/refresh", "/api/auth/sessions/logout"
TOKENS = {"tokens": True, "disableAutoSessionKeepAlive": True, "checkEvery": 0}


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return add_page(make_app())


@pytest.fixture
def requests(app: Flask) -> Requests:
    return Requests(app)


@pytest.fixture
def signer() -> Wallet:
    return Wallet()


@pytest.fixture
def page(browser: Browser) -> Iterator[LibraryPage]:
    with browser.before_scripts(WATCH):
        yield LibraryPage(browser)
        browser.switch_to(browser.home)


@pytest.fixture
def stored(page: LibraryPage, signer: Wallet) -> LibraryPage:
    """A page whose tokens are in a `SecureStorage`."""
    page.open(stored=True, **TOKENS)
    page.sign_in(signer)
    return page


def grow_old(page: LibraryPage, pass_time: TimeMachine, seconds: float) -> None:
    """Let time pass for the server and for the device."""
    pass_time(seconds)
    page.browser.run("ahead.monotonic += arguments[0]; ahead.wall += arguments[0]", seconds * 1000)


def secrets_of(page: LibraryPage) -> list[str]:
    """The tokens of the page's session, as only this test's own code can read them."""
    found = page.call("return JSON.parse(await storage.getItem(`tokens ${location.origin}`)).tokens")
    return [found["session"], found["refresh"]]


# -- Tokens ----------------------------------------------------------------------------------------------------------


def test_tokens_are_in_no_snapshot_and_no_event(page: LibraryPage, signer: Wallet) -> None:
    page.open(**TOKENS)
    session = page.sign_in(signer)
    assert session["account"] == signer.account()
    assert page.state == "active"
    seen = str([session, page.told(), page.browser.run("return manager.getSnapshot()"), page.stored()])
    assert "rt_" not in seen
    assert "eyJ" not in seen


def test_tokens_in_memory_end_with_the_page(page: LibraryPage, signer: Wallet) -> None:
    page.open(**TOKENS)
    page.sign_in(signer)
    page.call("await manager.refreshSession()")
    nothing = {"found": [], "local": {}, "session": {}, "cookie": ""}
    assert page.stored() == nothing
    page.open(**TOKENS)
    assert page.state == "signed_out"


def test_stored_session_survives_a_reload(stored: LibraryPage, signer: Wallet) -> None:
    stored.open(stored=True, start=False, **TOKENS)
    assert stored.call("return manager.getStoredSession()")["account"] == signer.account()
    assert stored.state == "unknown", "what is stored is no proof"
    stored.call("await manager.start()")
    assert stored.state == "active"


def test_own_answer_can_be_stored(page: LibraryPage, signer: Wallet) -> None:
    """`storeSession` takes what the page got by itself, and gives it back without the tokens."""
    page.open(**TOKENS)
    asked = page.call(
        "const { request } = await import('/sessions_core/static/lib/http.js');"
        "window.request = request;"
        "return request('/api/auth/challenges', { method: 'POST', json: { account: given[0] }, cookies: false })",
        signer.account(),
    )
    session = page.call(
        "const [message, challenge, bearer] = given;"
        "const json = { message, challenge };"
        "const answer = await request('/api/auth/sessions', { method: 'POST', json, bearer, cookies: false });"
        "return manager.storeSession(answer)",
        asked["message"], asked["challenge"], signer.sign(asked["message"]),
    )  # fmt: skip
    assert session["account"] == signer.account()
    assert "session_token" not in session
    assert page.call("return manager.isSessionActive()") is True


def test_old_token_is_renewed_without_activity(
    page: LibraryPage, signer: Wallet, requests: Requests, pass_time: TimeMachine
) -> None:
    """A check never keeps the session alive, not even when it needs new tokens."""
    page.open(**TOKENS)
    page.sign_in(signer)
    grow_old(page, pass_time, 600)
    assert page.call("return manager.isSessionActive()") is True
    assert requests.count(REFRESH) == 1
    assert page.browser.run("return manager.timeRemaining") <= IDLE - 600
    assert page.call("return manager.keepSessionAlive()") is True
    assert page.browser.run("return manager.timeRemaining") > IDLE - 20
    assert (requests.count(REFRESH), requests.count(KEEP_ALIVE)) == (1, 1)


def test_token_that_the_server_refuses_is_renewed(
    stored: LibraryPage, requests: Requests, pass_time: TimeMachine
) -> None:
    """After a reload only the server knows how old it is."""
    pass_time(600)
    stored.open(stored=True, **TOKENS)
    assert stored.state == "active"
    assert requests.count(REFRESH) == 1


def test_lost_refresh_is_repeated_and_loses_nothing(
    stored: LibraryPage, signer: Wallet, services: Services, requests: Requests
) -> None:
    """The server has moved on. Within the grace, the token of before brings the same next one."""
    before = secrets_of(stored)
    with requests.losing(REFRESH):
        assert stored.call("return manager.refreshSession()") is False
    assert stored.state == "offline"
    assert secrets_of(stored) == before
    assert stored.call("return manager.refreshSession()") is True
    assert stored.state == "active"
    assert secrets_of(stored)[1] != before[1]
    assert len(services.repository.living(str(parse(signer.account())))) == 1


def test_refresh_that_is_lost_for_long_loses_nothing(
    stored: LibraryPage, requests: Requests, pass_time: TimeMachine
) -> None:
    with requests.losing(REFRESH):
        assert stored.call("return manager.refreshSession()") is False
    grow_old(stored, pass_time, 120)
    assert stored.call("return manager.refreshSession()") is True
    assert stored.call("return manager.isSessionActive()") is True


def test_expired_session_asks_for_a_new_sign_in(
    stored: LibraryPage, requests: Requests, pass_time: TimeMachine
) -> None:
    pass_time(IDLE + 1)
    assert stored.call("return manager.validateSession()")["reason"] == "expired"
    assert stored.told("refresh_failed") == [{"code": "session_expired", "reason": "idle"}]
    assert stored.state == "signed_out"


# -- Tabs ------------------------------------------------------------------------------------------------------------


def test_twenty_tabs_use_one_refresh_token(
    stored: LibraryPage,
    requests: Requests,
    services: Services,
    signer: Wallet,
    pass_time: TimeMachine,
    hold: Hold,
) -> None:
    """With one refresh each, the second tab would have presented a used token, and ended the session."""
    tabs = stored.open_tabs(20, stored=True, **TOKENS)
    pass_time(600)
    stored.refresh_in_all(tabs, hold, REFRESH)
    assert requests.count(REFRESH) == 1
    assert len(services.repository.living(str(parse(signer.account())))) == 1


def test_sign_out_in_one_tab_ends_the_tokens_of_all(stored: LibraryPage) -> None:
    browser = stored.browser
    browser.new_tab()
    stored.open(stored=True, **TOKENS)
    assert stored.call("return manager.logout()") is True
    browser.switch_to(browser.home)
    stored.wait_for("signed_out")


def test_sign_in_in_one_tab_reaches_the_others(page: LibraryPage, signer: Wallet) -> None:
    browser = page.browser
    page.open(stored=True, **TOKENS)
    assert page.state == "signed_out"
    browser.new_tab()
    page.open(stored=True, **TOKENS)
    page.sign_in(signer)
    browser.switch_to(browser.home)
    page.wait_for("active")


def test_tab_of_a_dead_session_spares_the_next_one(
    stored: LibraryPage, signer: Wallet, services: Services, app: Flask
) -> None:
    """A tab that slept through it learns late that its session was revoked, and must not destroy the new tokens."""
    browser = stored.browser
    browser.run("manager.stop()")
    with app.test_request_context():
        (live,) = services.repository.living(str(parse(signer.account())))
        services.lifecycle.revoke_handle(parse(signer.account()), live.record.handle, "revoked")
    tab = browser.new_tab()
    stored.open(stored=True, **TOKENS)
    stored.sign_in(signer)
    kept = secrets_of(stored)
    browser.switch_to(browser.home)
    assert stored.call("return manager.isSessionActive()") is True
    browser.switch_to(tab)
    assert secrets_of(stored) == kept


# -- Storage ---------------------------------------------------------------------------------------------------------


def test_no_secret_lies_about_as_text(stored: LibraryPage) -> None:
    """Neither while signed in nor after; and no script can take the key along."""
    stored.call("await manager.refreshSession()")
    tokens, kept = secrets_of(stored), stored.stored()
    assert [each["extractable"] for each in kept["found"] if each.get("store") == "keys"] == [False]
    assert {"exported": True} not in kept["found"]
    assert not any(part in str(kept) for token in tokens for part in (token, token[:20], token[-20:]))
    assert (kept["local"], kept["session"], kept["cookie"]) == ({}, {}, "")
    assert stored.call("return manager.logout()") is True
    gone = stored.stored()
    assert gone == {"found": [], "local": {}, "session": {}, "cookie": ""}


def test_clearing_destroys_the_key_without_the_server(
    stored: LibraryPage, services: Services, signer: Wallet
) -> None:
    stored.call("await manager.clearSession()")
    assert stored.stored()["found"] == []
    assert stored.told("signed_out") == [{"reason": "cleared"}]
    assert len(services.repository.living(str(parse(signer.account())))) == 1


def test_late_refresh_does_not_bring_tokens_back(stored: LibraryPage, requests: Requests) -> None:
    """Signed out while the answer was on its way."""
    stored.call("const refreshed = manager.refreshSession(); await manager.clearSession(); await refreshed;")
    assert stored.state == "signed_out"
    assert stored.stored()["found"] == []
    assert stored.call("return manager.isSessionActive()") is False


def test_browser_that_stores_nothing_keeps_tokens_in_memory(page: LibraryPage, signer: Wallet) -> None:
    with page.browser.before_scripts("IDBFactory.prototype.open = () => { throw new DOMException('off') }"):
        page.open(stored=True, **TOKENS)
        page.sign_in(signer)
    assert page.call("return manager.refreshSession()") is True
    assert page.call("return manager.isSessionActive()") is True


def test_failed_write_leaves_no_used_token_to_other_tabs(stored: LibraryPage, requests: Requests) -> None:
    """The tab that refreshed goes on in memory. Another one with the token of before would end the session.

    A browser without room aborts the transaction.
    """
    stored.browser.run("IDBObjectStore.prototype.put = function () { this.transaction.abort(); }")
    stored.refused("await storage.setItem('note', 'x')")
    assert stored.call("return manager.refreshSession()") is True
    assert stored.call("return storage.getItem(`tokens ${location.origin}`)") is None
    assert stored.call("return manager.refreshSession()") is True
    assert stored.state == "active"
    assert requests.count(REFRESH) == 2


def test_storage_that_fails_for_a_moment_ends_nothing(stored: LibraryPage) -> None:
    """Browsers lose the connection to IndexedDB when a page was in the background for long."""
    stored.browser.run(
        "window.real = IDBFactory.prototype.open;"
        "IDBFactory.prototype.open = () => { throw new DOMException('lost', 'UnknownError'); };"
    )
    assert stored.call("return manager.validateSession()")["reason"] == "network_error"
    assert stored.call("return manager.refreshSession()") is False
    stored.browser.run("IDBFactory.prototype.open = window.real")
    assert stored.call("return manager.refreshSession()") is True
    assert stored.state == "active"


# -- Another origin --------------------------------------------------------------------------------------------------


@pytest.fixture
def shop() -> Iterator[str]:
    """Another origin, which has copied the library."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        module = served_from_disk(environ["PATH_INFO"])
        kind = "text/html; charset=utf-8" if module is None else "text/javascript"
        policy = "default-src 'none'; script-src 'self'; connect-src *; require-trusted-types-for 'script'"
        headers = [
            ("Content-Type", kind),
            ("Content-Security-Policy", f"{policy}; trusted-types 'none'; img-src data:"),
        ]
        start_response("200 OK", headers)
        return [PAGE.encode() if module is None else module]

    with serving(answer) as port:
        yield f"http://127.0.0.1:{port}"


class OtherSite:
    """A second site that a page asks. It answers nothing useful, and keeps what it was sent."""

    def __init__(self) -> None:
        self.origin = ""
        self.seen: list[str] = []

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        self.seen.append(f"{environ['PATH_INFO']} {environ.get('HTTP_AUTHORIZATION', '')} {body}")
        headers = [(f"Access-Control-Allow-{name}", "*") for name in ("Origin", "Methods")]
        headers.append(("Access-Control-Allow-Headers", "Authorization, Content-Type"))
        start_response("200 OK", headers)
        return [b""]


@pytest.fixture
def other_site() -> Iterator[OtherSite]:
    other = OtherSite()
    with serving(other) as port:
        other.origin = f"http://127.0.0.1:{port}"
        yield other


class TestFromAnotherOrigin:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any], shop: str) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_ALLOWED_ORIGINS": [shop]}

    def test_other_origin_keeps_a_session_without_cookies(
        self, page: LibraryPage, site: Site, shop: str, signer: Wallet, requests: Requests
    ) -> None:
        browser = page.browser
        browser.driver.get(shop)
        page.make(stored=True, siteUrl=site.origin)
        assert page.state == "signed_out"
        page.sign_in(signer)
        assert page.call("return manager.refreshSession()") is True
        assert page.refused("return manager.request('/api/reports', { method: 'POST' })") == "permission_denied"
        fetched = page.call(
            f"const headers = await manager.headers(); const options = {{ headers, credentials: 'omit' }};"
            f"return (await fetch('{site.origin}{VALIDATE}', options)).status"
        )
        assert fetched == 200
        browser.driver.get(shop)
        page.make(stored=True, siteUrl=site.origin)
        assert page.state == "active"
        assert page.call("return manager.logout()") is True
        assert page.stored()["found"] == []
        assert browser.driver.get_cookies() == []
        assert requests.count(LOGOUT) == 1

    def test_two_sites_never_get_each_other_s_tokens(
        self, page: LibraryPage, site: Site, shop: str, signer: Wallet, other_site: OtherSite
    ) -> None:
        """Each manager of a page has its own `SecureStorage`, both with the default name."""
        page.browser.driver.get(shop)
        page.make(stored=True, siteUrl=site.origin)
        page.sign_in(signer)
        page.call(
            "const { SessionManager } = await import(`${given[0]}/session-manager.js`);"
            "const { SecureStorage } = await import(`${given[0]}/secure-storage.js`);"
            "window.second = new SessionManager({ siteUrl: given[1], storage: new SecureStorage() });"
            "await second.start()",
            page.library,
            other_site.origin,
        )
        assert page.browser.run("return second.state") == "signed_out"
        assert other_site.seen == []

        page.call(
            "const token_expires_at = manager.session.expires_at;"
            "const secrets = { session_token: 'other token', refresh_token: 'other refresh', token_expires_at };"
            "await second.storeSession({ ...manager.session, ...secrets })"
        )
        read = "return [await storage.getItem(`tokens ${given[0]}`), await storage.getItem(`tokens ${given[1]}`)]"
        mine, other = page.call(read, site.origin, other_site.origin)
        assert "rt_" in mine
        assert page.call("return manager.logout()") is True
        assert page.call(read, site.origin, other_site.origin) == [None, other]
        page.call("await second.clearSession()")
        assert page.stored()["found"] == []
        assert not any("rt_" in each or "eyJ" in each for each in other_site.seen)
