"""A proxy adds `Referrer-Policy: no-referrer`: Chromium then sends no Referer, and `Origin: null` with each form."""

from __future__ import annotations

import pytest
from flask import Flask, Response, request
from selenium.webdriver.common.by import By

from .pages import Browser
from .wallet_in_page import WalletInPage


@pytest.fixture
def seen(app: Flask) -> list[tuple[str, str | None, str | None]]:
    """What arrived with each POST: its path, Origin and Referer."""
    seen: list[tuple[str, str | None, str | None]] = []

    def note() -> None:
        if request.method == "POST":
            seen.append((request.path, request.headers.get("Origin"), request.headers.get("Referer")))

    app.before_request_funcs.setdefault(None, []).insert(0, note)

    @app.after_request
    def hide(response: Response) -> Response:
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return seen


def test_forms_work_without_a_referrer(
    seen: list[tuple[str, str | None, str | None]], browser: Browser, wallet: WalletInPage
) -> None:
    browser.sign_in(wallet)
    browser.open("/sign-out")
    browser.driver.find_element(By.CSS_SELECTOR, "main form [type=submit]").click()
    browser.arrive_at("/signed-out")
    assert {("/sign-in", "null", None), ("/sign-out", "null", None)} <= set(seen)
