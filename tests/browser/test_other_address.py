"""The first two errors that developers meet: opened at another port than the configured one, a form without token."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from selenium.webdriver.common.by import By

from sessions_core import public

from ..actors import ORIGIN
from .pages import Browser, ConnectPanel
from .wallet_in_page import WalletInPage

Check = Callable[[str], None]


@pytest.fixture
def overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """Configured for port 5000, and opened at the one where it listens."""
    return overrides | {"SESSIONS_CORE_PUBLIC_ORIGIN": ORIGIN}


@pytest.fixture
def app(app: Flask) -> Flask:
    return _with_form(app)


def look_at(browser: Browser, name: str) -> None:
    folder = os.environ.get("PICTURES")
    for look, options in {"light": {}, "dark": {"dark": True}, "320": {"width": 320}}.items() if folder else ():
        browser.look(**options)  # type: ignore[arg-type]
        browser.picture(Path(folder or "") / f"{name}-{look}.png")
    browser.look()


def test_sign_in_at_another_port_names_both(
    browser: Browser,
    wallet: WalletInPage,
    check: Check,
) -> None:
    panel = ConnectPanel(browser)
    wallet.install()
    panel.connect(wallet, until="other_address")
    assert ORIGIN in panel.error
    told = browser.see("technical").text
    assert f"app.config[\"SESSIONS_CORE_PUBLIC_ORIGIN\"] = '{browser.origin}'" in told
    assert ORIGIN in told
    check("other_address")
    look_at(browser, "other-address")


@pytest.mark.parametrize("configured", ["elsewhere", "here"])
def test_broken_form_of_the_adopter_is_explained(
    browser: Browser,
    app: Flask,
    make_app: Callable[..., Flask],
    site: Any,
    check: Check,
    configured: str,
) -> None:
    """First at another port than the configured one; then, with that corrected, without the token."""
    if configured == "here":
        site.app = _with_form(make_app(SESSIONS_CORE_PUBLIC_ORIGIN=site.origin))
    browser.open("/form")
    browser.driver.find_element(By.TAG_NAME, "button").click()
    told = browser.see("cause").text
    expected = "SESSIONS_CORE_PUBLIC_ORIGIN" if configured == "elsewhere" else "{{ csrf_token() }}"
    assert expected in told
    check(configured)
    look_at(browser, f"form-{configured}")


def _with_form(app: Flask) -> Flask:
    @app.route("/form", methods=["GET", "POST"])
    @public
    def form() -> str:
        return "<!doctype html><title>Form</title><form method=post action=/form><button>Send</button></form>"

    return app
