"""For tests in a browser: a wallet in the page that signs with a real key, sign-in without the pages, fast clocks.

    from sessions_core.testing.browser import BrowserWallet, sign_in_browser

`browser` is a Chromium of Selenium (`webdriver.Chrome`, or Edge) or a page of Playwright's synchronous interface, in
any of its browsers. The kit imports neither. Put wallets and clocks into the browser before a page is opened.
"""

from __future__ import annotations

import base64
import inspect
import json
import threading
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

from flask import Flask

from .clocks import age
from .errors import BrowserUnsupported, ChainUnknown, ClocksMissing, NotSeen
from .sessions import TestSession, services_of, sign_in
from .wallets import TestWallet

_WALLET = (Path(__file__).parent / "wallet_in_page.js").read_text("utf-8").strip()
_CLOCKS = (Path(__file__).parent / "clocks_in_page.js").read_text("utf-8")
_ICON = (
    "data:image/svg+xml;base64,"
    + base64.b64encode(
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><circle cx=".5" cy=".5" r=".5"/></svg>'
    ).decode()
)


class _Selenium:
    def __init__(self, driver: Any) -> None:
        self._driver = driver

    def before_pages(self, source: str, former: str | None) -> str:
        """Run a script in each page before its own; return a name with which another takes its place."""
        self.forget(former)
        added = self._driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})
        return str(added["identifier"])

    def forget(self, name: str | None) -> None:
        if name is not None:
            self._driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": name})

    def run(self, expression: str) -> Any:
        return self._driver.execute_script(f"return {expression}")

    def set_cookie(self, **cookie: Any) -> None:
        self._driver.execute_cdp_cmd("Network.setCookie", cookie)

    def click(self, selector: str) -> None:
        self._driver.find_element("css selector", selector).click()


class _Playwright:
    def __init__(self, page: Any) -> None:
        self._page = page

    def before_pages(self, source: str, former: str | None) -> str:
        self._page.add_init_script(source)  # after those that are there: the wallet takes the newest settings
        return ""

    def forget(self, name: str | None) -> None:
        """Do nothing: scripts of Playwright stay until the page is closed."""

    def run(self, expression: str) -> Any:
        return self._page.evaluate(expression)

    def set_cookie(self, **cookie: Any) -> None:
        if cookie["secure"]:
            # Playwright decides by the URL whether a cookie is Secure. Browsers send these to http://localhost too.
            cookie["url"] = cookie["url"].replace("http://", "https://", 1)
        self._page.context.add_cookies([cookie])

    def click(self, selector: str) -> None:
        self._page.click(selector)


def _driving(browser: Any) -> _Selenium | _Playwright:
    if hasattr(browser, "execute_cdp_cmd"):
        return _Selenium(browser)
    if hasattr(browser, "add_init_script") and not inspect.iscoroutinefunction(browser.add_init_script):
        return _Playwright(browser)
    raise BrowserUnsupported(
        f"{type(browser).__name__} is neither a Chromium of Selenium nor a page of Playwright's synchronous "
        "interface (playwright.sync_api). Give one of them."
    )


class BrowserWallet:
    """A wallet in the pages of a browser: by EIP-6963, for Stacks as Xverse, for Solana by the Wallet Standard.

    It has the keys of `TestWallet(chain, seed)`, and answers every question at once: first it approves, after
    `reject()` it refuses as a user does, after `stall()` it leaves its window open. With `connected` it has been
    connected to the site before.

    Raises `ChainUnknown` for a chain without such a wallet, `BrowserUnsupported`, and what `TestWallet` raises.
    """

    def __init__(
        self, browser: Any, chain: str = "eip155:1", seed: str | int = "", *, name: str = "", connected: bool = False
    ) -> None:
        self._driving = _driving(browser)
        self._script: str | None = None
        self._id = str(uuid.uuid4())
        self.wallet = TestWallet(chain, seed)
        """The account in use; its signatures are those that the page gets."""
        self.name = name or "Test Wallet"
        self.mode: Literal["approve", "reject", "stall"] = "approve"
        self._connected = connected
        if self._namespace not in ("eip155", "stacks", "solana"):
            raise ChainUnknown(f"There is no wallet in the page for {chain!r}, only for eip155, stacks and solana.")
        self._install()

    @property
    def address(self) -> str:
        """The address of the account in use."""
        return self.wallet.address

    @property
    def account(self) -> str:
        """The account in use, as CAIP-10."""
        return self.wallet.account

    @property
    def calls(self) -> list[str]:
        """What the page in front has asked the wallet, in order."""
        return list(self._driving.run(f"window.sessionsTestWallets[{self._id!r}].calls"))

    def approve(self) -> None:
        """Say yes from now on, also to what was left open."""
        self._answer("approve")

    def reject(self) -> None:
        """Say no from now on, also to what was left open, as a user does who has read the question."""
        self._answer("reject")

    def stall(self) -> None:
        """Leave the window open from now on: no answer before `approve` or `reject`."""
        self._answer("stall")

    def switch_account(self, seed: str | int) -> TestWallet:
        """Use the account of another seed, and tell the page; return its wallet."""
        self.wallet = TestWallet(self.wallet.chain, seed)
        self._changed()
        return self.wallet

    def switch_network(self, chain: str) -> TestWallet:
        """Use another network of the same kind (CAIP-2), and tell the page; return the wallet of its account."""
        self.wallet = self.wallet.on(chain)
        self._changed()
        return self.wallet

    def lock(self) -> None:
        """Lock the wallet: it shares no account until the page connects again."""
        self._connected = False
        self._install()
        self._tell(f"window.sessionsTestWallets?.[{self._id!r}]?.lock()")

    def remove(self) -> None:
        """Take the wallet out of pages that are opened from now on (Selenium; in Playwright open a new page)."""
        self._driving.forget(self._script)
        self._script = None

    @property
    def _namespace(self) -> str:
        return self.wallet.chain.partition(":")[0]

    def _answer(self, mode: Literal["approve", "reject", "stall"]) -> None:
        self.mode = mode
        self._changed()

    def _source(self) -> str:
        account = {"address": self.address, "key": self.wallet.key.hex(), "publicKey": "02" * 33}
        chain_id = hex(int(self.wallet.chain.partition(":")[2])) if self._namespace == "eip155" else self.wallet.chain
        config = {
            "id": self._id,
            "namespace": self._namespace,
            "name": self.name,
            "icon": _ICON,
            "mode": self.mode,
            "accounts": [account],
            "chainId": chain_id,
            "connected": self._connected,
        }
        return f"{_WALLET}({json.dumps(config)})"

    def _install(self) -> None:
        self._script = self._driving.before_pages(self._source() + ";", self._script)

    def _changed(self) -> None:
        self._install()
        # Not in a page that was opened before the wallet was there.
        self._tell(f"window.sessionsTestWallets?.[{self._id!r}] && {self._source()}")

    def _tell(self, expression: str) -> None:
        self._driving.run(f"void ({expression})")


def sign_in_browser(
    browser: Any,
    app: Flask,
    wallet: TestWallet | BrowserWallet,
    session_type: str = "",
    *,
    duration: int | None = None,
    permissions: list[str] | None = None,
) -> TestSession:
    """Sign a browser in without the pages: with a test client, whose cookies it gets. Return the session.

    `app` is the application that the browser will open, at its public origin. `duration` is in seconds. A wallet in
    the page is connected from the next page on. Raises what `sign_in` raises, and `BrowserUnsupported`.
    """
    driving, settings = _driving(browser), services_of(app).settings
    client = app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = str(driving.run("navigator.userAgent"))  # the same device on all pages
    if isinstance(wallet, BrowserWallet):
        wallet._connected = True
        wallet._install()
        wallet = wallet.wallet
    session = sign_in(client, wallet, session_type, duration=duration, permissions=permissions)
    store = services_of(app).store
    for name in (store.cookie_name, store.browser_cookie_name):
        cookie = client.get_cookie(name, settings.host)
        if cookie is not None:
            kept = {"name": name, "value": cookie.value, "secure": settings.cookie_secure}
            driving.set_cookie(**kept, url=settings.public_origin, httpOnly=True, sameSite=settings.cookie_samesite)
    return session


def see(browser: Any, test_id: str, seconds: float = 30) -> str:
    """Wait until an element with this `data-testid` is shown; return its text. docs/test-ids.md lists all of them.

    Raises `NotSeen` after so many seconds.
    """
    return _wait(_driving(browser), test_id, seconds, "true")


def click(browser: Any, test_id: str, seconds: float = 30) -> None:
    """Wait until an element with this `data-testid` is shown and takes clicks, and click it.

    Buttons take no clicks while they wait for an answer, and some none in their first second, which a user would not
    have meant. Raises `NotSeen` after so many seconds.
    """
    driving = _driving(browser)
    _wait(driving, test_id, seconds, _TAKES_CLICKS)
    driving.click(f'[{_MARK}="{test_id}"]')


# Not while a button waits for an answer, nor while it or its page is new (`static/page/deliberate.js`).
_TAKES_CLICKS = """!found.matches(":disabled, [aria-disabled='true']") && (!found.closest("[data-deliberate]") ||
  (document.documentElement.dataset.settling === undefined
  && !found.getAnimations().some(({ animationName }) => animationName === "settle")))"""
_MARK = "data-sessions-test"


def _wait(driving: _Selenium | _Playwright, test_id: str, seconds: float, condition: str) -> str:
    selector = f"[data-testid={json.dumps(test_id)}]"
    script = f"""(() => {{
      for (const each of document.querySelectorAll("[{_MARK}]")) each.removeAttribute("{_MARK}");
      const all = Array.from(document.querySelectorAll({json.dumps(selector)}));
      const found = all.find((each) => each.checkVisibility({{ visibilityProperty: true }}));
      if (!found || !({condition})) return null;
      found.setAttribute("{_MARK}", {json.dumps(test_id)});
      return found.innerText ?? "";
    }})()"""
    deadline = time.monotonic() + seconds
    trouble: Exception | None = None
    while True:
        try:
            text = driving.run(script)
        except Exception as error:  # of the driver: scripts fail in a page that is just being left
            text, trouble = None, error
        if text is not None:
            return str(text)
        if time.monotonic() > deadline:
            what = "was not to be seen" if condition == "true" else "was not to be seen, or took no clicks,"
            raise NotSeen(f"{test_id!r} {what} on the page for {seconds} seconds.") from trouble
        threading.Event().wait(0.02)


def fast_clocks(browser: Any) -> Callable[[], None]:
    """Let `pass_time` move the clocks of pages that are opened from now on. Return a function that takes this back
    (Selenium; in Playwright open a new page).

    Raises `BrowserUnsupported`.
    """
    driving = _driving(browser)
    return partial(driving.forget, driving.before_pages(_CLOCKS, None))


def pass_time(
    browser: Any, session: TestSession, *, seconds: float = 0, minutes: float = 0, hours: float = 0
) -> None:
    """Let time pass for a session (as `age` does) and for the page in front: its timers that are due run at once.

    Raises `ClocksMissing` if the page was opened without `fast_clocks`.
    """
    driving = _driving(browser)
    if not driving.run("Boolean(window.sessionsTestClocks)"):
        raise ClocksMissing
    total = seconds + 60 * minutes + 3600 * hours
    age(session, seconds=total)
    driving.run(f"void window.sessionsTestClocks.advance({total * 1000})")
