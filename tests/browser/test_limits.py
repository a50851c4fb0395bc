"""A limit that is met in earnest: the page says how long, and goes on by itself."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from sessions_core.parts.rate_limits import RateLimits
from sessions_core.web.services import Services

from ..constants import REDIS_PREFIX
from .pages import Browser, ConnectPanel
from .wallet_in_page import WalletInPage

ADDRESS = "127.0.0.1"


@pytest.fixture
def overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """One sign-in a minute."""
    return overrides | {"SESSIONS_CORE_SIGN_INS_PER_ADDRESS": "1/minute"}


def test_one_sign_in_too_many_counts_down_and_then_signs_in(
    browser: Browser, wallet: WalletInPage, services: Services, redis: Redis
) -> None:
    panel = ConnectPanel(browser)
    panel.connect(wallet)
    services.part(RateLimits).limits.hit("sign_ins", ADDRESS, None)  # somebody else in this house
    (counter,) = redis.scan_iter(f"{REDIS_PREFIX}limit:*/sign_ins/*")
    redis.pexpire(counter, 4000)
    panel.sign()
    wallet.approve_sign()
    panel.wait_for("rate_limited")
    assert "Wait " in panel.error
    assert "Too many tries" in panel.error
    browser.wait(lambda: browser.see("retry").get_attribute("aria-disabled") is None, "never to be pressed")
    panel.retry()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
