"""Makes the pictures of README, and one of every page and state in light, dark and on a narrow screen, to look at.

`make screenshots` runs this; the pictures for README go to docs/images, the others to build/screenshots.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from eth_account import Account
from flask import Flask
from redis import Redis
from selenium.webdriver import Chrome

from tests.time_machine import Clock, TimeMachine

from .pages import Browser, ConnectPanel
from .wallet_in_page import WalletInPage

ROOT = Path(__file__).parents[2]
README, ALL = ROOT / "docs/images", ROOT / "build/screenshots"


@pytest.fixture
def wallet(browser: Browser) -> Iterator[WalletInPage]:
    """A wallet whose account is the same in every picture."""
    wallet = WalletInPage(browser.driver, "Fox Wallet")
    wallet.keys = [Account.from_key("0x" + "11" * 32)]
    wallet.install()
    yield wallet
    wallet.uninstall()


@pytest.fixture(params=["light", "dark", "narrow"])
def look(request: pytest.FixtureRequest, browser: Browser) -> str:
    width = 320 if request.param == "narrow" else 1280
    browser.look(width=width, height=800, dark=request.param == "dark")
    return str(request.param)


@pytest.fixture
def picture(browser: Browser, look: str) -> Callable[..., None]:
    def take(name: str) -> None:
        ALL.mkdir(parents=True, exist_ok=True)
        browser.picture(ALL / f"{name}-{look}.png")

    return take


def test_readme(browser: Browser, wallet: WalletInPage) -> None:
    README.mkdir(exist_ok=True)
    browser.look(width=1000, height=760)
    browser.sign_in(wallet)
    browser.picture(README / "session.png")


def test_pages(browser: Browser, wallet: WalletInPage, picture: Callable[..., None]) -> None:
    browser.open("/")
    picture("home")
    panel = ConnectPanel(browser)
    panel.open(next="/session")
    panel.wait_for("wallet_list")
    picture("sign-in")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    picture("ready-to-sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
    picture("session")
    browser.open("/")
    picture("home-signed-in")
    browser.open("/nowhere")
    picture("404")
    browser.open("/sign-out")
    picture("sign-out")
    browser.driver.find_element("css selector", "main form button").click()
    browser.arrive_at("/signed-out")
    for reason in ("signed_out", "idle", "absolute", "revoked", "everywhere", "replaced", "unknown"):
        browser.open("/signed-out", reason=reason)
        picture(f"signed-out-{reason}")


def test_warnings(
    browser: Browser, wallet: WalletInPage, picture: Callable[..., None], app: Flask, redis: Redis, clock: Clock
) -> None:
    pass_time = TimeMachine(app, redis, clock)
    browser.sign_in(wallet)
    pass_time(1800 - 115)
    browser.look_again()
    browser.see("timeout-dialog")
    picture("warning")
    browser.offline()
    browser.click("timeout-stay")
    browser.wait(lambda: browser.see("timeout-dialog").get_attribute("data-state") == "error")
    picture("warning-offline")
    browser.online()


def test_the_wallet_elsewhere(browser: Browser, wallet: WalletInPage, picture: Callable[..., None]) -> None:
    browser.sign_in(wallet)
    wallet.switch_chain(11155111)
    browser.see("network-changed")
    picture("network-changed")
    wallet.keys = [Account.from_key("0x" + "22" * 32)]
    wallet.install()
    for name, path in (("session", "/session"), ("home", "/"), ("404", "/nowhere")):
        browser.open(path)
        browser.see("account-changed")
        picture(f"account-changed-{name}")


def test_failures(driver: Chrome, browser: Browser, wallet: WalletInPage, picture: Callable[..., None]) -> None:
    panel = ConnectPanel(browser)
    panel.open()
    panel.choose(wallet)
    wallet.reject()
    panel.wait_for("rejected_connect")
    picture("rejected")
    browser.run("document.querySelector('[name=csrf_token]').value = 'old'")
    browser.run("document.querySelector('#connect form').submit()")
    browser.wait(lambda: "csrf_failed" in browser.text or "open for too long" in browser.text)
    picture("csrf")
    wallet.uninstall()
    panel.open()
    panel.wait_for("no_wallet")
    picture("no-wallet")
