"""A browser that keeps nothing: no cookies, no room, no storage, or a key share that does not open.

Each is noticed before anybody signs, has its words, and a way on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis
from selenium.webdriver import Chrome, ChromeOptions

from .conftest import FLAGS, Site
from .pages import Browser, ConfirmPanel, ConnectPanel
from .trial_wallet import Trial
from .wallet_in_page import WalletInPage

# -- Cookies -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strict_driver() -> Iterator[Chrome]:
    """A Chromium whose person blocks all cookies."""
    options = ChromeOptions()
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"profile.default_content_setting_values.cookies": 2})
    driver = Chrome(options=options)
    yield driver
    driver.quit()


@pytest.fixture
def strict(strict_driver: Chrome, browser: Browser, site: Site) -> Browser:
    return Browser(strict_driver, site.origin, lambda wallet: "")


def test_blocked_cookies_are_noticed_before_the_wallet_is_asked(strict: Browser) -> None:
    wallet = WalletInPage(strict.driver)
    panel = ConnectPanel(strict)
    panel.open()
    panel.wait_for("cookies_blocked")
    assert "Allow cookies for this site" in panel.error
    assert "Signing in needs a cookie" in panel.spoken
    assert panel.rows == []
    assert wallet.calls == []


# Safari over plain http: it takes cookies, but no Secure ones.
SAFARI = """
    const real = Object.getOwnPropertyDescriptor(Document.prototype, "cookie");
    Object.defineProperty(Document.prototype, "cookie", {
      get() { return real.get.call(this); },
      set(text) { if (!/; Secure/.test(text)) real.set.call(this, text); },
    });
"""


def test_safari_developer_is_told_the_setting(browser: Browser, wallet: WalletInPage) -> None:
    panel = ConnectPanel(browser)
    with browser.before_scripts(SAFARI):
        panel.open()
        panel.wait_for("cookies_blocked")
    assert "SESSIONS_CORE_COOKIE_SECURE = False" in browser.see("cookies-development").text
    assert wallet.calls == []


class TestWithThatSetting:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_COOKIE_SECURE": False}

    def test_safari_signs_in(self, browser: Browser, wallet: WalletInPage) -> None:
        with browser.before_scripts(SAFARI):
            browser.sign_in(wallet)


def test_the_check_leaves_no_cookie(browser: Browser, wallet: WalletInPage) -> None:
    ConnectPanel(browser).open()
    ConnectPanel(browser).row(wallet)
    assert [each["name"] for each in browser.driver.get_cookies() if "check" in each["name"]] == []


# -- Room and storage ----------------------------------------------------------------------------------------------


@contextmanager
def full(browser: Browser) -> Iterator[None]:
    """A disk without room for this site."""
    browser.cdp("Storage.overrideQuotaForOrigin", origin=browser.origin, quotaSize=1)
    try:
        yield
    finally:
        browser.cdp("Storage.overrideQuotaForOrigin", origin=browser.origin)


def shares(redis: Redis) -> int:
    return sum("share" in key.decode() for key in redis.scan_iter())


def test_full_storage_is_reported_and_can_be_retried(browser: Browser, trial: Trial, redis: Redis) -> None:
    trial.panel.open()
    with full(browser):
        browser.click("try-without-wallet")
        trial.panel.wait_for("storage_full")
        assert "no room left" in trial.panel.error
        assert shares(redis) == 0, "half of a wallet was made that nobody can use"
    trial.panel.retry()
    trial.panel.wait_for("ready_to_sign")
    assert shares(redis) == 1


BLOCKED = "IDBFactory.prototype.open = () => { throw new DOMException('off', 'SecurityError') }"


def test_blocked_storage_is_reported(browser: Browser, trial: Trial, redis: Redis) -> None:
    with browser.before_scripts(BLOCKED):
        trial.panel.open()
        browser.click("try-without-wallet")
        trial.panel.wait_for("storage_blocked")
    assert "Allow this site to store data" in trial.panel.error
    assert shares(redis) == 0


PUT = """
    const [change, done] = arguments;
    const asked = indexedDB.open("wallet-share");
    asked.onsuccess = () => {
      const store = asked.result.transaction("kept", "readwrite").objectStore("kept"), found = store.get("half");
      found.onsuccess = () => {
        const damage = change === "sealed" ? { sealed: new ArrayBuffer(48) } : { key: "x" };
        store.put({ ...found.result, ...damage }, "half");
        store.transaction.oncomplete = () => { asked.result.close(); done(); };
      };
    };
"""


@pytest.mark.parametrize("damaged", ["sealed", "key"])
def test_a_share_that_does_not_open_can_be_replaced(browser: Browser, trial: Trial, damaged: str) -> None:
    trial.enter()
    before = trial.account
    browser.follow("sign-out")
    browser.driver.execute_async_script(PUT, damaged)
    trial.panel.open()
    browser.click("try-without-wallet")
    trial.panel.wait_for("share_unreadable")
    assert "half of the key is damaged" in trial.panel.error
    browser.click("wallet-renew")
    trial.panel.wait_for("ready_to_sign")
    assert trial.account != before


@pytest.mark.parametrize("damaged", [True, False], ids=["damaged", "blocked"])
def test_confirm_page_explains_a_broken_key_share(browser: Browser, trial: Trial, damaged: bool) -> None:
    trial.enter()
    browser.open("/session/wallet/export")
    browser.open("/session/wallet/delete")
    browser.see("delete-word").send_keys("delete")
    browser.follow("delete-confirm")
    if damaged:
        browser.driver.execute_async_script(PUT, "sealed")
    else:
        browser.run(BLOCKED)
    confirm = ConfirmPanel(browser)
    confirm.start()
    confirm.wait_for("failed", "unreadable" if damaged else "storage")
    assert "Nothing was changed" in confirm.error


NOTED = "StorageManager.prototype.persist = async () => { sessionStorage.asked = 'yes'; return false }"


def test_the_browser_is_asked_to_keep_the_share(browser: Browser, trial: Trial) -> None:
    with browser.before_scripts(NOTED):
        trial.panel.open()
        assert browser.run("return sessionStorage.asked ?? null") is None
        browser.click("try-without-wallet")
        trial.panel.wait_for("ready_to_sign")
    assert browser.run("return sessionStorage.asked") == "yes"
