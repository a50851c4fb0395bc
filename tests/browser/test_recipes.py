"""Recipes of docs/integrate.md in Chromium: a form from a payment provider's page, and a site under a path."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from selenium.webdriver.common.by import By

from .. import documented
from ..payment_provider import HERE, KEY, form
from ..servers import serving
from .conftest import Site
from .pages import Browser
from .wallet_in_page import WalletInPage


@pytest.fixture
def invoices() -> dict[str, str]:
    return {"7": "open"}


@pytest.fixture
def app(app: Flask, invoices: dict[str, str]) -> Flask:
    heading = "A payment provider posts the customer back"
    documented.run(app, heading, hmac=hmac, PROVIDER_KEY=KEY, invoices=invoices, **HERE)
    return app


def test_customer_is_signed_in_after_the_provider_s_form(
    browser: Browser, wallet: WalletInPage, site: Site, invoices: dict[str, str]
) -> None:
    def provider(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        fields = "".join(f'<input type="hidden" name="{name}" value="{value}">' for name, value in form().items())
        start_response("200 OK", [("Content-Type", "text/html")])
        page = (
            f'<!doctype html><title>Pay</title><form method="post" action="{site.origin}/paid">{fields}<button>Back'
        )
        return [page.encode()]

    browser.enter(wallet)
    with serving(provider) as port:
        browser.driver.get(f"http://127.0.0.1:{port}")  # another site than localhost
        browser.driver.find_element(By.TAG_NAME, "button").click()
        browser.arrive_at("/receipt/7")
    assert browser.text == f"{wallet.account}: invoice 7 is paid"
    assert invoices == {"7": "paid"}


def test_site_under_a_path_works_in_a_browser(
    browser: Browser, wallet: WalletInPage, site: Site, make_app: Callable[..., Flask]
) -> None:
    """The proxy takes the path off and names it in a header; outside of it there is nothing."""
    config = Flask("config")
    documented.run(config, "Under a path")
    settings = {key: value for key, value in config.config.items() if key.startswith("SESSIONS_CORE_")}
    app = make_app(SESSIONS_CORE_TRUSTED_PROXIES=1, **settings)

    def proxy(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        path = environ["PATH_INFO"]
        if not path.startswith("/shop/"):
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [path.encode()]
        forwarded = {"HTTP_X_FORWARDED_FOR": "198.51.100.7", "HTTP_X_FORWARDED_PREFIX": "/shop"}
        return app(environ | forwarded | {"PATH_INFO": path.removeprefix("/shop")}, start_response)

    site.app = proxy  # type: ignore[assignment]
    browser.origin = f"{site.origin}/shop"
    browser.sign_in(wallet)
    browser.arrive_at("/session")
    browser.wait_for_session("active")
    browser.open("/sign-out")
    browser.driver.find_element(By.CSS_SELECTOR, "main form [type=submit]").click()
    browser.arrive_at("/signed-out")
