"""German and Arabic pages: what scripts write has the plural of its number, and devices have translated names."""

from __future__ import annotations

from typing import Any

import pytest
from selenium.webdriver.common.by import By

from sessions_core import events

from ..time_machine import TimeMachine
from .conftest import Elsewhere, account_of
from .pages import Browser, ConnectPanel
from .session_list import come_back, row
from .session_page import warn
from .wallet_in_page import MakeWallet, WalletInPage

NUMBERS = (1, 2, 3, 11, 100)
# The words for the NUMBERS, by the language, the element with the phrase, and the name of the phrase there.
WORDS = {
    "de": {
        ("wallet-sign-in", "found"): [
            "1 Wallet gefunden.",
            "2 Wallets gefunden.",
            "3 Wallets gefunden.",
            "11 Wallets gefunden.",
            "100 Wallets gefunden.",
        ],
        ("session-timeout", "minutes"): ["1 Minute", "2 Minuten", "3 Minuten", "11 Minuten", "100 Minuten"],
        ("session-status.chip", "minutes"): [
            "(in 1 Minute)",
            "(in 2 Minuten)",
            "(in 3 Minuten)",
            "(in 11 Minuten)",
            "(in 100 Minuten)",
        ],
        ("activity-days", "folded"): [
            "1 gewöhnliches Ereignis",
            "2 gewöhnliche Ereignisse",
            "3 gewöhnliche Ereignisse",
            "11 gewöhnliche Ereignisse",
            "100 gewöhnliche Ereignisse",
        ],
    },
    "ar": {
        ("wallet-sign-in", "found"): [
            "عُثر على محفظة واحدة.",
            "عُثر على محفظتين.",
            "عُثر على 3 محافظ.",
            "عُثر على 11 محفظة.",
            "عُثر على 100 محفظة.",
        ],
        ("session-timeout", "minutes"): ["دقيقة واحدة", "دقيقتين", "3 دقائق", "11 دقيقة", "100 دقيقة"],
        ("session-status.chip", "minutes"): [
            "(خلال دقيقة واحدة)",
            "(خلال دقيقتين)",
            "(خلال 3 دقائق)",
            "(خلال 11 دقيقة)",
            "(خلال 100 دقيقة)",
        ],
        ("activity-days", "folded"): [
            "حدث معتاد واحد",
            "حدثان معتادان",
            "3 أحداث معتادة",
            "11 حدثًا معتادًا",
            "100 حدث معتاد",
        ],
    },
}
WARNING = {"de": "melden wir dich in 2 Minuten ab", "ar": "سنسجّل خروجك خلال دقيقتين"}
DEVICE = {"de": "Firefox unter Linux", "ar": "Firefox على Linux"}
SIGNED_IN_ON = {
    "de": ["Du bist auf 3 Geräten angemeldet.", "Du bist auf 2 Geräten angemeldet."],
    "ar": ["أنت مسجّل الدخول على 3 أجهزة.", "أنت مسجّل الدخول على جهازين."],
}


@pytest.fixture(params=["de", "ar"])
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def overrides(overrides: dict[str, Any], language: str) -> dict[str, Any]:
    return overrides | {"SESSIONS_CORE_LANGUAGES": [language]}


def said(browser: Browser, language: str, page: str) -> dict[tuple[str, str], Any]:
    """Return what a page says for each of the NUMBERS, as WORDS has it."""
    return {
        (element, name): browser.module(
            "page/parts",
            "given[2].map((number) => module.phrase(document.querySelector(given[0]), given[1], number))",
            element,
            name,
            NUMBERS,
        )
        for element, name in WORDS[language]
        if element in page
    }


def test_phrases_have_the_plural_of_their_number(browser: Browser, wallet: WalletInPage, language: str) -> None:
    ConnectPanel(browser).open()
    found = said(browser, language, "wallet-sign-in")
    browser.enter(wallet)
    browser.open("/activity")
    assert found | said(browser, language, "session-timeout session-status.chip activity-days") == WORDS[language]


def test_number_of_wallets_is_spoken_in_its_plural(
    panel: ConnectPanel, wallet: WalletInPage, make_wallet: MakeWallet, language: str
) -> None:
    make_wallet("Second Wallet", rdns="org.second.wallet")
    panel.open()
    panel.wait_for("wallet_list")
    two = WORDS[language]["wallet-sign-in", "found"][1]
    panel.browser.wait(lambda: panel.spoken == two, lambda: panel.spoken)


def test_warning_counts_in_the_language(session: Browser, pass_time: TimeMachine, language: str) -> None:
    session.wait_for_session("active")
    warn(session, pass_time)
    assert WARNING[language] in session.see("timeout-dialog").text


def test_devices_are_named_and_counted_in_the_language(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, language: str
) -> None:
    handle, other = elsewhere.sign_in(wallet), elsewhere.sign_in(wallet)
    session.open("/sessions")
    session.wait_for_session("active")
    assert DEVICE[language] in row(session, handle).text
    counted = [session.see("session-count").text]
    elsewhere.end(wallet, other)
    come_back(session)
    assert [*counted, session.see("session-count").text] == SIGNED_IN_ON[language]


def test_activity_is_in_the_language(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, language: str
) -> None:
    account = str(account_of(wallet))
    elsewhere.happen(*[events.SessionRenewed(handle="sess_1", account=account)] * 3)
    session.open("/activity")
    session.wait_for_session("active")
    routine = session.see("activity-routine")
    assert routine.text == WORDS[language]["activity-days", "folded"][2]
    routine.find_element(By.TAG_NAME, "summary").click()
    assert DEVICE[language] in routine.text
