"""The script of docs/integrate.md, "An application on another origin", as it stands, in a page of another origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from msgspec import Struct

from sessions_core import current_account, operation, signed_in

from .. import documented
from ..actors import Wallet
from ..servers import serving
from .conftest import Site
from .pages import Browser


class Order(Struct):
    number: int


class Ordered(Struct):
    number: int
    account: str


class Shop:
    """Another origin: a page, the documented script, and a wallet that signs what it is shown."""

    def __init__(self, wallet: Wallet) -> None:
        self.wallet, self.site = wallet, ""

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        path = environ["PATH_INFO"]
        if path == "/sign":
            message = bytes.fromhex(environ["QUERY_STRING"].removeprefix("0x")).decode()
            kind, body = "text/plain", self.wallet.sign(message)
        elif path == "/client.js":
            kind, body = "text/javascript", script().replace("https://app.example.org", self.site)
        else:
            kind, body = "text/html", "<!doctype html><title>Shop</title>"
        start_response("200 OK", [("Content-Type", kind)])
        return [body.encode()]


def script() -> str:
    (block,) = documented.blocks("integrate.md", "An application on another origin", "js")
    return block


# A wallet without a window: it asks its own server to sign.
WALLET = """{ request: async ({ method, params }) => method === "eth_requestAccounts"
  ? [address] : (await fetch("/sign?" + params[0])).text() }"""


@pytest.fixture
def shop() -> Iterator[tuple[Shop, str]]:
    shop = Shop(Wallet())
    with serving(shop) as port:
        yield shop, f"http://127.0.0.1:{port}"  # another site than localhost


@pytest.fixture
def overrides(overrides: dict[str, Any], shop: tuple[Shop, str]) -> dict[str, Any]:
    return overrides | {"SESSIONS_CORE_ALLOWED_ORIGINS": [shop[1]]}


@pytest.fixture
def app(app: Flask) -> Flask:
    @app.post("/api/orders")
    @signed_in
    @operation(status=201)
    def order(body: Order) -> Ordered:
        """Order something."""
        return Ordered(body.number, str(current_account))

    return app


def run(browser: Browser, code: str, address: str) -> Any:
    return browser.driver.execute_async_script(
        "const [address, done] = arguments; import('/client.js').then(async (client) => {"
        f"const wallet = {WALLET}; {code} }}).catch((error) => done(String(error)))",
        address,
    )


def test_documented_script_orders_from_another_origin(
    browser: Browser, site: Site, shop: tuple[Shop, str], app: Flask
) -> None:
    other, origin = shop
    other.site = site.origin
    browser.driver.get(origin)
    ordered = run(
        browser,
        "const session = await client.signIn(wallet); done(await client.order(session, 7));",
        other.wallet.address,
    )
    assert ordered == {"number": 7, "account": other.wallet.account()}
    assert browser.driver.get_cookies() == []


def test_chromium_keeps_other_origins_out(
    browser: Browser, site: Site, shop: tuple[Shop, str], make_app: Callable[..., Flask]
) -> None:
    """The same page, once the setting does not name it."""
    other, origin = shop
    other.site, site.app = site.origin, make_app(SESSIONS_CORE_ALLOWED_ORIGINS=["https://shop.example.net"])
    browser.expected_complaints += ["blocked by CORS policy", "net::ERR_FAILED"]
    browser.driver.get(origin)
    assert run(browser, "done(await client.signIn(wallet));", other.wallet.address) == "TypeError: Failed to fetch"
