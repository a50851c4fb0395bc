"""The real application on a real port, Chromium in front of it, and wallets that can be put into its pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request
from flask.ctx import RequestContext
from redis import Redis
from selenium.webdriver import Chrome, ChromeOptions

from sessions_core import events
from sessions_core.sign_in import accounts
from sessions_core.web import request_client
from sessions_core.web.services import Services

from ..activity import wait_a_millisecond
from ..constants import ALICE_ACCOUNT
from ..new_sessions import used_from
from ..servers import serving
from . import accessibility
from .families_in_page import FamilyWallet, Put
from .identity_page import PAGE, InternetIdentity, MakeSigner, SignerInPage
from .pages import FIREFOX, Browser, ConnectPanel
from .trial_wallet import Trial
from .wallet_in_page import WalletInPage

# As root and in containers Chromium has no sandbox and little shared memory; the rest keeps it quiet and still.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--host-resolver-rules=MAP *.test 127.0.0.1",
)


class Site:
    """What listens on the port: the application of the running test, behind a proxy that may rename it."""

    def __init__(self) -> None:
        self.app: Flask | None = None
        self.origin = ""
        self.renamed = False

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        if self.app is None:
            start_response("503 Service Unavailable", [])
            return []
        if self.renamed:
            # A proxy that hides the address people see, so that the page is open at one that is not the site's.
            environ["HTTP_HOST"] = self.origin.removeprefix("http://")
            for name in ("HTTP_ORIGIN", "HTTP_REFERER"):
                environ.pop(name, None)
        return self.app(environ, start_response)


class Interruption:
    """Answers chosen requests in the place of the application, or holds them."""

    def __init__(self, app: Flask) -> None:
        self.answers: dict[tuple[str, str], Callable[[], Any]] = {}
        # Before the guard, which would answer who has no session any more.
        app.before_request_funcs.setdefault(None, []).insert(0, self._answer)

    def _answer(self) -> Any:
        answer = self.answers.get((request.path, request.method))
        return answer() if answer else None


CHALLENGES = ("/api/auth/challenges", "POST")


def refusal(code: str, status: int) -> tuple[Response, int]:
    """Return what the server answers to a request that it refuses."""
    return jsonify(success=False, error={"code": code, "message": "", "request_id": "abc"}), status


@pytest.fixture
def interrupt(app: Flask) -> Interruption:
    return Interruption(app)


class Hold:
    def __init__(self, interrupt: Interruption) -> None:
        self._gate = threading.Event()
        self._interrupt = interrupt

    def __call__(self, path: str, method: str) -> None:
        self._interrupt.answers[path, method] = lambda: self._gate.wait(20) and None

    def release(self) -> None:
        self._gate.set()


@pytest.fixture
def hold(interrupt: Interruption) -> Iterator[Hold]:
    hold = Hold(interrupt)
    yield hold
    hold.release()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    site = Site()
    with serving(site) as port:
        site.origin = f"http://localhost:{port}"
        yield site


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    options = ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options)
    driver.set_page_load_timeout(20)
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@pytest.fixture
def overrides(overrides: dict[str, Any], site: Site) -> dict[str, Any]:
    return overrides | {"SESSIONS_CORE_PUBLIC_ORIGIN": site.origin}


@pytest.fixture
def browser(driver: Chrome, app: Flask, site: Site, interrupt: Interruption) -> Iterator[Browser]:
    """Chromium with no past, at the application of this test."""
    site.app, site.renamed = app, False
    services: Services = app.extensions["sessions_core"]

    def start(wallet: WalletInPage) -> str:
        agent = driver.execute_script("return navigator.userAgent")
        with app.test_request_context(headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": "127.0.0.1"}):
            return services.lifecycle.start(
                account_of(wallet),
                services.policy.standard,
                wallet=str(wallet.info["name"]),
                prepare=used_from(request_client.current()),
            ).id

    browser = Browser(driver, site.origin, start)
    browser.forget_everything()
    yield browser
    complaints = browser.complaints()
    browser.leave()
    site.app = None
    assert not complaints, complaints


@pytest.fixture
def page(browser: Browser) -> Browser:
    """The least of all pages, for tests that import a plain module into it."""
    browser.open("/livez")
    return browser


@pytest.fixture
def wallet(browser: Browser) -> Iterator[WalletInPage]:
    wallet = WalletInPage(browser.driver)
    yield wallet
    wallet.uninstall()


@pytest.fixture(scope="session")
def identity_port() -> Iterator[int]:
    """Where Internet Identity is; an application offers it when its settings say so."""
    with serving(PAGE) as port:
        yield port


@pytest.fixture
def identity(driver: Chrome, browser: Browser) -> InternetIdentity:
    return InternetIdentity(driver, browser.home)


@pytest.fixture
def make_signer(driver: Chrome, browser: Browser) -> Iterator[MakeSigner]:
    made: list[SignerInPage] = []

    def make(*args: Any, **options: Any) -> SignerInPage:
        made.append(SignerInPage(driver, *args, **options))
        return made[-1]

    yield make
    for signer in made:
        signer.uninstall()


class Elsewhere:
    """Other browsers of the same person, and whoever else knows the address: all without a second Chromium."""

    def __init__(self, app: Flask, redis: Redis) -> None:
        self._app = app
        self._redis = redis
        self._services: Services = app.extensions["sessions_core"]

    def sign_in(
        self,
        wallet: WalletInPage,
        agent: str = FIREFOX,
        ip: str = "203.0.113.7",
        *,
        name: str = "MetaMask",
        kind: str = "standard",
    ) -> str:
        """Start a session with the same wallet in a browser that calls itself `agent`; return its handle."""
        with self.request(agent, ip):
            live = self._services.lifecycle.start(
                account_of(wallet),
                self._services.policy.types[kind],
                wallet=name,
                prepare=used_from(request_client.current()),
            )
        return live.record.handle

    def end(self, wallet: WalletInPage, handle: str) -> None:
        """Sign out there."""
        with self.request():
            self._services.lifecycle.revoke_handle(account_of(wallet), handle, "signed_out")

    def alive(self, wallet: WalletInPage, handle: str) -> bool:
        return self._services.repository.find_living(str(account_of(wallet)), handle) is not None

    def happen(self, *happened: events.Event, agent: str = FIREFOX, ip: str = "203.0.113.7") -> None:
        for event in happened:
            with self.request(agent, ip):
                events.publish(event)
            wait_a_millisecond(self._redis)

    def request(self, agent: str = FIREFOX, ip: str = "203.0.113.7") -> RequestContext:
        return self._app.test_request_context(headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": ip})


@pytest.fixture
def end(browser: Browser, app: Flask) -> Callable[[str], None]:
    """Leave the browser with the cookie of a session that ended for a reason."""
    services: Services = app.extensions["sessions_core"]
    account = ALICE_ACCOUNT

    def leave(reason: str) -> None:
        with app.test_request_context(environ_base={"REMOTE_ADDR": "127.0.0.1"}):
            live = services.lifecycle.start(
                account, services.policy.standard, wallet="MetaMask", prepare=used_from(request_client.current())
            )
        services.lifecycle.revoke_handle(account, live.record.handle, reason)
        attributes = {"url": browser.origin, "path": "/", "secure": True, "httpOnly": True, "sameSite": "Lax"}
        browser.cdp("Network.setCookie", name="__Host-session", value=live.id, **attributes)

    return leave


def account_of(wallet: WalletInPage) -> accounts.Account:
    return accounts.parse(wallet.account)


@pytest.fixture
def elsewhere(app: Flask, redis: Redis) -> Elsewhere:
    return Elsewhere(app, redis)


@pytest.fixture
def panel(browser: Browser) -> ConnectPanel:
    """The panel of the sign-in page; a module may override it with one that it has reached another way."""
    return ConnectPanel(browser)


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Browser:
    """A browser whose user is signed in; a module may override it with more that its tests begin with."""
    browser.enter(wallet)
    return browser


@pytest.fixture
def trial(browser: Browser) -> Trial:
    """The trial wallet of this browser, which is not made yet."""
    return Trial(browser)


@pytest.fixture
def check(browser: Browser) -> Callable[[str], None]:
    """Assert that axe finds nothing on the page in front; what is given names the page."""
    return partial(accessibility.check, browser)


@pytest.fixture
def put(browser: Browser) -> Iterator[Put]:
    """Put wallets of families into the browser: their class, then what it takes."""
    made: list[FamilyWallet] = []

    def put(kind: type[FamilyWallet], *args: Any, **config: Any) -> FamilyWallet:
        made.append(kind(browser.driver, *args, **config))
        return made[-1]

    yield put
    for wallet in made:
        wallet.uninstall()


@pytest.fixture
def make_wallet(browser: Browser) -> Iterator[Callable[..., WalletInPage]]:
    """Put further wallets into the browser."""
    made: list[WalletInPage] = []

    def make(*args: Any, **options: Any) -> WalletInPage:
        made.append(WalletInPage(browser.driver, *args, **options))
        return made[-1]

    yield make
    for wallet in made:
        wallet.uninstall()
