"""The pages as a person meets them, so that the tests read as sentences. Waits for states, never for time."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlencode

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException, WebDriverException
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from ..constants import PATIENCE
from .wallet_in_page import WalletInPage

ROOT = Path(__file__).parents[2]
MODULES = sorted("/" + path.relative_to(ROOT).as_posix() for path in ROOT.glob("sessions_core/**/static/**/*.js"))
SETTLED = """
    const [button] = arguments;
    return !button.closest("[data-deliberate]") || (document.documentElement.dataset.settling === undefined
      && !button.getAnimations().some(({ animationName }) => animationName === "settle"));
"""
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
PHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.0 Mobile/15E148 Safari/604.1"
)


class Browser:
    """One Chromium and its current tab."""

    def __init__(self, driver: Chrome, origin: str, start: Callable[[WalletInPage], str]) -> None:
        self.driver = driver
        self.origin = origin
        self._start = start
        self.home = driver.current_window_handle
        # Lines that a test expects in the browser's console; all others fail it.
        self.expected_complaints: list[str] = []

    # The browser itself -----------------------------------------------------------------------------

    def cdp(self, command: str, **parameters: Any) -> dict[str, Any]:
        return dict(self.driver.execute_cdp_cmd(command, parameters) or {})

    def forget_everything(self) -> None:
        """Forget what the tests before left, but for the static files: their URLs change with what is in them."""
        self.cdp("Network.enable")
        self.cdp("Network.clearBrowserCookies")
        self.cdp("Storage.clearDataForOrigin", origin=self.origin, storageTypes="all")
        # A grant to one origin refuses all that it does not name, and would hold for the tests after this one.
        self.cdp("Browser.resetPermissions")
        self.online()
        self.scripts(on=True)
        self.look()
        self.cdp("Emulation.setUserAgentOverride", userAgent="")
        self.driver.get_log("browser")

    def forget_files(self) -> None:
        """Forget static files too, for a test of how they arrive."""
        self.cdp("Network.clearBrowserCache")

    def leave(self) -> None:
        """Close what the test left open, so that nothing of it runs on."""
        self.close_other_tabs()
        self.driver.get("about:blank")

    def complaints(self) -> list[str]:
        """What the console holds against the pages: errors of scripts, violations of the policy, missing files."""
        return [
            line["message"]
            for line in self.driver.get_log("browser")
            if line["level"] in ("SEVERE", "WARNING")
            # Refusals are answers too; the tests look at them where people do.
            and "the server responded with a status of" not in line["message"]
            and not any(expected in line["message"] for expected in self.expected_complaints)
        ]

    def offline(self) -> None:
        self.expected_complaints.append("net::ERR_INTERNET_DISCONNECTED")
        self._network(offline=True)

    def online(self) -> None:
        self._network(offline=False)

    def _network(self, *, offline: bool) -> None:
        self.cdp(
            "Network.emulateNetworkConditions", offline=offline, latency=0, downloadThroughput=-1, uploadThroughput=-1
        )

    def scripts(self, *, on: bool) -> None:
        self.cdp("Emulation.setScriptExecutionDisabled", value=not on)

    def look(self, *, width: int = 1280, height: int = 900, dark: bool = False) -> None:
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        # Without motion there is nothing half-way to look at.
        calm = {"name": "prefers-reduced-motion", "value": "reduce"}
        self.cdp("Emulation.setEmulatedMedia", features=[scheme, calm])

    def allow_clipboard(self) -> None:
        permissions = ["clipboardReadWrite", "clipboardSanitizedWrite"]
        self.cdp("Browser.grantPermissions", origin=self.origin, permissions=permissions)
        self.cdp("Page.bringToFront")  # a page without the focus may not write to the clipboard

    def clipboard(self) -> str:
        """What was copied last; `allow_clipboard` first."""
        return str(self.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])"))

    def as_a_phone(self) -> None:
        self.cdp("Emulation.setUserAgentOverride", userAgent=PHONE)

    @contextmanager
    def before_scripts(self, source: str) -> Iterator[None]:
        """Run `source` in each page before its own scripts."""
        script = self.cdp("Page.addScriptToEvaluateOnNewDocument", source=source)
        try:
            yield
        finally:
            self.cdp("Page.removeScriptToEvaluateOnNewDocument", **script)

    def picture(self, path: Path) -> None:
        data = self.cdp("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(data))

    # Tabs ---------------------------------------------------------------------------------------------

    def new_tab(self) -> str:
        self.driver.switch_to.new_window("tab")
        return self.driver.current_window_handle

    def switch_to(self, tab: str) -> None:
        self.driver.switch_to.window(tab)

    def close_other_tabs(self) -> None:
        for handle in self.driver.window_handles:
            if handle != self.home:
                self.driver.switch_to.window(handle)
                self.driver.close()
        self.driver.switch_to.window(self.home)

    # The page in front ----------------------------------------------------------------------------------

    def open(self, path: str, **query: str) -> None:
        self.driver.get(self.origin + path + (f"?{urlencode(query)}" if query else ""))

    @property
    def path(self) -> str:
        return self.driver.current_url.removeprefix(self.origin)

    def arrive_at(self, path: str) -> None:
        self.wait(lambda: self.path.split("?")[0] == path, lambda: f"at {self.path}, not at {path}")

    def wait(self, condition: Callable[[], Any], otherwise: Callable[[], str] | str = "") -> Any:
        try:
            return WebDriverWait(self.driver, PATIENCE, 0.02).until(lambda _: unless_left(condition))
        except TimeoutException:
            raise AssertionError(otherwise if isinstance(otherwise, str) else otherwise()) from None

    def all(self, test_id: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, f'[data-testid="{test_id}"]')

    def shown(self, test_id: str) -> WebElement | None:
        """The one that can be seen now, if any."""
        return next((element for element in self.all(test_id) if element.is_displayed()), None)

    def see(self, test_id: str) -> WebElement:
        """Wait until it can be seen."""
        return self.wait(lambda: self.shown(test_id), f"no {test_id} to be seen")

    def see_no(self, test_id: str) -> None:
        self.wait(lambda: not self.shown(test_id), f"{test_id} is still there")

    def click(self, test_id: str) -> None:
        """Press it; a button that ignores presses in its first second, after that."""
        self.settled(self.see(test_id))
        self.see(test_id).click()

    def settled(self, button: WebElement) -> WebElement:
        """Wait until a press counts."""
        self.wait(lambda: self.run(SETTLED, button), "it never settles")
        return button

    def follow(self, test_id: str) -> None:
        """Click, and wait until another page has come, even one at the same address."""
        page = self.driver.find_element(By.TAG_NAME, "html")
        self.click(test_id)
        self.wait(lambda: left(page), f"{test_id} led nowhere")

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def asset(self, path: str) -> str:
        """Return the URL under which the page in front has a static file, so that a module is the page's own."""
        source = self.run("return document.querySelector('head script[type=module]')?.src")
        fingerprint = re.search(r"/sessions_core/([0-9a-f]{16})/", source or "")
        return path.replace("/sessions_core", f"/sessions_core/{fingerprint[1]}") if fingerprint else path

    def module(self, name: str, expression: str, *arguments: Any) -> Any:
        """Evaluate an expression with a plain module of the site, named as `http` or `lib/http`, as `module`."""
        [path] = [each for each in MODULES if each.endswith(f"/{name}.js")]
        url = self.asset(path)
        answer = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1], given = Array.from(arguments).slice(0, -1);"
            f"import('{url}').then(async (module) => ({{ value: await ({expression}) }}))"
            ".catch((error) => ({ error: String(error) })).then(done)",
            *arguments,
        )
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    @property
    def text(self) -> str:
        return str(self.run("return document.body.innerText"))

    @property
    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    @property
    def session_state(self) -> str:
        return str(self.run("return document.documentElement.dataset.sessionState"))

    def wait_for_session(self, state: str) -> None:
        self.wait(lambda: self.session_state == state, lambda: f"session is {self.session_state}, not {state}")

    def look_again(self) -> None:
        """Come back to the tab: the page asks the server how things stand."""
        self.run("window.dispatchEvent(new Event('focus'))")

    # Signing in ---------------------------------------------------------------------------------------------

    def enter(self, wallet: WalletInPage) -> None:
        """Be signed in, at /session, without going there: for tests whose subject comes after the sign-in."""
        self.take_cookie(wallet)
        wallet.connected = True
        wallet.install()
        self.open("/session")

    def take_cookie(self, wallet: WalletInPage) -> None:
        """Have the cookie of a session, in all tabs."""
        attributes = {"url": self.origin, "path": "/", "secure": True, "httpOnly": True, "sameSite": "Lax"}
        self.cdp("Network.setCookie", name="__Host-session", value=self._start(wallet), **attributes)

    def sign_in(self, wallet: WalletInPage, **query: str) -> None:
        """The whole way, as a person goes it."""
        page = ConnectPanel(self)
        page.open(**query)
        page.choose(wallet)
        if not wallet.connected:
            wallet.approve_connect()
        page.wait_for("ready_to_sign")
        page.sign()
        wallet.approve_sign()
        self.wait(lambda: not self.path.startswith("/sign-in"), lambda: f"still at {self.path}: {self.text}")


def unless_left(ask: Callable[[], Any]) -> Any:
    """Ask the page in front; None if an element's page has been left, for which the driver has two errors."""
    try:
        return ask()
    except StaleElementReferenceException:
        return None
    except WebDriverException as error:
        if "does not belong to the document" in str(error):
            return None
        raise


def left(page: WebElement) -> bool:
    """Whether the page of an element has been left."""
    return unless_left(page.is_enabled) is None


class Panel:
    """A panel that an element of the site moves from state to state."""

    id: ClassVar[str]

    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    @property
    def state(self) -> str:
        found = self.browser.driver.find_elements(By.ID, self.id)
        return str(found[0].get_attribute("data-state")) if found else f"gone, at {self.browser.path}"

    def wait_for(self, state: str) -> None:
        self.browser.wait(lambda: self.state == state, lambda: f"the panel is {self.state}, not {state}")

    @property
    def error(self) -> str:
        return self.browser.see("error").text

    @property
    def spoken(self) -> str:
        """What a screen reader was told last."""
        return str(self.browser.run(f"return document.querySelector('#{self.id} [role=status]').textContent"))


class ConnectPanel(Panel):
    """The panel of the sign-in page."""

    id = "connect"

    def open(self, **query: str) -> None:
        self.browser.open("/sign-in", **query)

    @property
    def wallets(self) -> list[str]:
        """The rows as they read, in order."""
        return [self.words(row) for row in self.rows]

    @staticmethod
    def words(row: WebElement) -> str:
        """A row without its picture."""
        return row.find_element(By.CLASS_NAME, "row__text").text

    @property
    def rows(self) -> list[WebElement]:
        return [row for row in self.browser.all("wallet-option") if row.is_displayed()]

    def row(self, wallet: WalletInPage) -> WebElement:
        return self.browser.wait(
            lambda: next((row for row in self.rows if row.get_attribute("data-wallet-id") == wallet.id), None),
            "the wallet is not in the list",
        )

    def choose(self, wallet: WalletInPage) -> None:
        self.row(wallet).click()

    def cancel(self) -> None:
        self.browser.click("connect-cancel")

    def sign(self) -> None:
        self.browser.click("sign-button")

    def retry(self) -> None:
        self.browser.click("retry")

    def connect(self, wallet: WalletInPage, until: str = "ready_to_sign") -> None:
        """Open the page, choose a wallet and let it connect; by default up to the text that is to be signed."""
        self.open()
        self.choose(wallet)
        wallet.approve_connect()
        self.wait_for(until)

    @property
    def preview(self) -> str:
        return str(self.browser.see("message-preview").get_attribute("textContent"))

    @property
    def hidden_fields(self) -> dict[str, str]:
        form = "document.querySelector('#connect form.sign-in__form')"
        return dict(self.browser.run(f"return Object.fromEntries(new FormData({form}))"))


class ConfirmPanel(Panel):
    """The panel on which the wallet signs for one request."""

    id = "confirm"

    def wait_for(self, state: str, kind: str | None = None) -> None:
        """Wait until the panel is in a state, and in it for this kind of reason."""
        super().wait_for(state)
        assert self.browser.see("confirm").get_attribute("data-kind") == kind

    def arrive(self, action: str) -> None:
        """Wait until the page asks to confirm this, and can."""
        self.browser.wait(
            lambda: self.browser.see("confirm").get_attribute("data-action-name") == action,
            lambda: f"not asked to confirm {action}, but at {self.browser.path}: {self.browser.text}",
        )
        self.browser.wait(lambda: self.browser.run("return customElements.get('wallet-confirm') !== undefined"))

    def start(self) -> None:
        self.browser.click("confirm-button")

    def confirm(self, wallet: WalletInPage) -> str:
        """Sign with a wallet that is connected, wait for the page after this one, and return the text."""
        page = self.browser.driver.find_element(By.TAG_NAME, "html")
        self.start()
        text = wallet.approve_sign()
        self.browser.wait(lambda: left(page), "the page stayed")
        return text

    @property
    def sentence(self) -> str:
        return self.browser.see("confirm-sentence").text

    @property
    def problem(self) -> str:
        return str(self.browser.see("confirm-problem").get_attribute("data-code"))

    @property
    def proof(self) -> str:
        """What the form holds of a signature."""
        fields = "document.querySelectorAll('#confirm form [name^=confirm_]')"
        return str(self.browser.run(f"return Array.from({fields}, (field) => field.value).join('')"))


def part(within: WebElement, test_id: str) -> WebElement:
    """Return the part of a row or of a form that has this test id."""
    return within.find_element(By.CSS_SELECTOR, f'[data-testid="{test_id}"]')
