"""Where somebody is signed in: the list, a name for each device, ending one, the others, or all."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from selenium.webdriver.common.by import By

from sessions_core.web.services import Services
from sessions_core.web.session_view import ago

from ..part_services import roles_of
from ..time_machine import TimeMachine
from .accessibility import open_without_script
from .clocks_in_page import WATCH, asked
from .conftest import Elsewhere, Interruption, account_of
from .pages import FIREFOX, PHONE, Browser, part
from .session_list import LONG, come_back, give_name, message, names, row, rows, state, unheard
from .session_page import turn
from .wallet_in_page import WalletInPage

LIST = ("/api/auth/sessions", "GET")
HEBREW = "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}\N{HEBREW LETTER VAV}\N{HEBREW LETTER FINAL MEM}"


def open_list(browser: Browser, **query: str) -> None:
    browser.open("/sessions", **query)
    browser.wait_for_session("active")


def spoken(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('[data-testid=session-speech]').textContent"))


# -- Words for moments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", [0, 59, 61, 329, 331, 1_500, 3_500, 5_300, 40_000, 90_000, 1_000_000])
def test_the_page_says_how_long_ago_as_the_server_does(browser: Browser, seconds: int) -> None:
    browser.open("/")
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    later = moment + timedelta(seconds=seconds)
    said = browser.module(
        "times", "module.ago(new Date(given[0]), new Date(given[1]), 'en')", moment.isoformat(), later.isoformat()
    )
    assert (said or "just now") == re.sub(r"^an? ", "1 ", ago(moment, later))


@pytest.mark.parametrize(("locale", "clock"), [("de-DE", "14:05"), ("en-GB", "14:05"), ("en-US", "2:05 PM")])
def test_a_moment_has_its_day_and_year_where_they_differ(browser: Browser, locale: str, clock: str) -> None:
    """The words are in the language of the page, and the clock has the reader's 12 or 24 hours."""
    browser.cdp("Emulation.setLocaleOverride", locale=locale)
    browser.open("/")

    def said(moment: str) -> str:
        return str(
            browser.module(
                "times", "module.timeOfDay(new Date(given[0]), new Date(2026, 0, 31), 'en', 'date')", moment
            )
        )

    try:
        assert said("2026-01-31T14:05:00") == clock
        assert said("2026-01-02T14:05:00") == f"Jan 2, {clock}"
        assert said("2025-12-31T14:05:00") == f"Dec 31, 2025, {clock}"
    finally:
        browser.cdp("Emulation.setLocaleOverride", locale="")


# -- The list -------------------------------------------------------------------------------------------------


def test_device_list_starts_with_this_device(
    browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    """Each row names the browser, the last activity and an accessible button to revoke that session."""
    old = elsewhere.sign_in(wallet, FIREFOX, "203.0.113.7")
    pass_time(300)
    phone = elsewhere.sign_in(wallet, PHONE, "2001:db8::7", name="Rainbow", kind="professional")
    browser.sign_in(wallet)
    open_list(browser)
    assert names(browser) == ["Headless Chrome on Linux", "Safari on iOS", "Firefox on Linux"]
    assert browser.see("session-count").text == "You\N{RIGHT SINGLE QUOTATION MARK}re signed in on 3 devices."
    current = [each for each in rows(browser) if each.find_elements(By.CSS_SELECTOR, "[data-testid=session-current]")]
    assert current == rows(browser)[:1]
    firefox = row(browser, old)
    assert part(row(browser, phone), "session-type").text == "Professional"
    assert not firefox.find_elements(By.CSS_SELECTOR, "[data-testid=session-type], [data-testid=session-network]")
    assert part(firefox, "session-ip").text == "203.0.113.7"
    assert part(firefox, "session-wallet").text == "Signed in with “MetaMask” (Ethereum Mainnet)"
    assert part(firefox, "session-last-active").text == "5 minutes ago"
    assert str(part(firefox, "session-last-active").get_attribute("title")).endswith(" UTC")
    assert part(firefox, "session-revoke").text == "Sign out"
    name = "Sign out Firefox on Linux, last active 5 minutes ago"
    assert part(firefox, "session-revoke").accessible_name == name


def test_times_are_those_of_the_reader(session: Browser) -> None:
    session.cdp("Emulation.setTimezoneOverride", timezoneId="Asia/Kathmandu")
    try:
        open_list(session)
        created = session.see("session-created")
        local = session.run(
            "return new Date(arguments[0].dateTime)"
            ".toLocaleTimeString('en-US', { hour: 'numeric', minute: '2-digit' })",
            created,
        )
        session.wait(lambda: created.text.endswith(local), lambda: f"{created.text}, not {local}")
        assert str(created.get_attribute("title")).endswith(" UTC")
    finally:
        session.cdp("Emulation.setTimezoneOverride", timezoneId="")


def test_user_agent_string_can_be_unfolded(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    handle = elsewhere.sign_in(wallet, FIREFOX)
    open_list(session)
    agent = part(row(session, handle), "session-agent")
    assert FIREFOX not in session.text
    agent.find_element(By.TAG_NAME, "summary").click()
    assert FIREFOX in agent.text


def test_single_session_is_described_as_the_only_one(session: Browser) -> None:
    open_list(session)
    assert session.see("session-count").text == "You\N{RIGHT SINGLE QUOTATION MARK}re only signed in here."
    assert len(rows(session)) == 1
    for test_id in ("end-others", "end-everywhere", "session-revoke"):
        assert session.shown(test_id) is None
    session.click("session-sign-out")
    session.arrive_at("/signed-out")


def test_hostile_device_text_is_shown_as_text(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    hostile = '"><img src=x onerror="document.title=\'run\'">'
    handle = elsewhere.sign_in(wallet, LONG, "", name=f"{HEBREW} {hostile}"[:40])
    session.look(width=320)
    open_list(session)
    assert part(row(session, handle), "session-device").text == "Unknown browser on Linux"
    part(row(session, handle), "session-agent").find_element(By.TAG_NAME, "summary").click()
    assert "<script>" in part(row(session, handle), "session-agent").text
    assert not row(session, handle).find_elements(By.CSS_SELECTOR, "[data-testid=session-ip]")
    give_name(session, handle, f"{HEBREW} {hostile}")
    assert part(row(session, handle), "session-device").text == f"{HEBREW} {hostile}"[:40]
    assert session.driver.title.startswith("Where you")
    assert not session.run("return document.querySelectorAll('main script, main img').length")
    assert session.run("return document.documentElement.scrollWidth <= innerWidth"), "wider than the window"


def test_right_to_left_names_stay_in_their_place(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    elsewhere.sign_in(wallet, name=f"{HEBREW} 12")
    open_list(session)
    # Isolated, so that the network behind the wallet's name stays behind it.
    ends = session.run("""
        const line = document.querySelectorAll("[data-testid=session-wallet]")[1];
        const range = document.createRange();
        range.selectNodeContents(line.lastChild);
        return [line.querySelector("bdi").getBoundingClientRect().right, range.getBoundingClientRect().left];
    """)
    assert ends[0] <= ends[1] + 1


# -- Many -----------------------------------------------------------------------------------------------------


class TestMany:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_SESSIONS_PER_ACCOUNT": 60}

    def test_device_list_is_paged(self, browser: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
        handles = {elsewhere.sign_in(wallet) for _ in range(29)}
        browser.sign_in(wallet)
        open_list(browser)
        first = [each.get_attribute("data-handle") for each in rows(browser)]
        assert browser.see("page-number").text == "Page 1 of 2"
        assert browser.shown("page-previous") is None
        assert "(29)" in browser.see("end-others").text
        browser.follow("page-next")
        second = [each.get_attribute("data-handle") for each in rows(browser)]
        assert (len(first), len(second)) == (25, 5)
        assert set(first[1:]) | set(second) == handles
        # What is on another page has not ended, nor is it new.
        come_back(browser)
        assert spoken(browser) == ""
        assert browser.shown("session-new") is None
        browser.follow("page-previous")
        assert browser.shown("page-next")


def test_device_that_signed_in_for_the_first_time_is_marked_new(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(wallet)
    open_list(session)
    assert part(row(session, handle), "session-new-device").text == "New"
    assert len(session.all("session-new-device")) == 1, "this device is marked, too"


# -- Ending one -----------------------------------------------------------------------------------------------


def test_revoking_a_session_ends_it_and_says_so(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    phone, firefox = elsewhere.sign_in(wallet, PHONE), elsewhere.sign_in(wallet, FIREFOX)
    open_list(session)
    session.settled(part(row(session, firefox), "session-revoke")).click()
    session.wait(lambda: message(session).text == "Firefox on Linux is signed out.", "not said")
    assert names(session)[1:] == ["Safari on iOS"]
    assert not elsewhere.alive(wallet, firefox)
    assert elsewhere.alive(wallet, phone)


def test_a_browser_whose_session_was_revoked_is_signed_out(session: Browser, wallet: WalletInPage) -> None:
    (revoked,) = [each for each in session.driver.get_cookies() if each["name"] == "__Host-session"]
    open_list(session)
    handle = str(rows(session)[0].get_attribute("data-handle"))
    session.cdp("Network.clearBrowserCookies")  # from here on another browser
    session.sign_in(wallet)
    open_list(session)
    session.run("arguments[0].click()", session.settled(part(row(session, handle), "session-revoke")))
    message(session)
    session.cdp("Network.clearBrowserCookies")  # and back to the first
    cookie = {key: revoked[key] for key in ("name", "value", "path", "secure", "httpOnly", "sameSite")}
    session.cdp("Network.setCookie", url=session.origin, **cookie)
    session.open("/session")
    session.arrive_at("/sign-in")
    assert "reason=revoked" in session.path


def test_a_session_that_ended_meanwhile_is_no_error(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    """Nothing has told the page yet."""
    handle = elsewhere.sign_in(wallet)
    with unheard(session):
        open_list(session)
    elsewhere.end(wallet, handle)
    session.settled(part(row(session, handle), "session-revoke")).click()
    assert message(session).text == "That device was already signed out."
    assert len(rows(session)) == 1


# -- A name of one's own --------------------------------------------------------------------------------------


def test_device_can_be_named_and_the_name_removed(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(wallet)
    open_list(session)
    assert give_name(session, handle, "  Old   laptop ") == "That device is now called Old laptop."
    named = row(session, handle)
    assert part(named, "session-device").text == "Old laptop"
    assert "Firefox on Linux" in named.text
    assert part(named, "session-revoke").accessible_name.startswith("Sign out Old laptop, last active ")
    assert give_name(session, handle, "").endswith("The device is listed as Firefox on Linux.")
    assert part(row(session, handle), "session-device").text == "Firefox on Linux"


def test_a_name_has_forty_characters_at_most(session: Browser) -> None:
    open_list(session)
    handle = str(rows(session)[0].get_attribute("data-handle"))
    give_name(session, handle, "N" * 60)
    assert part(row(session, handle), "session-device").text == "N" * 40


# -- Coming back to the tab -----------------------------------------------------------------------------------


def test_list_is_refreshed_only_when_the_user_returns(session: Browser) -> None:
    """Or when something else tells the list that sessions began or ended."""
    with session.before_scripts(WATCH), unheard(session):
        open_list(session)
        assert state(session) == "idle"
        turn(session, hidden=True)
        assert LIST not in asked(session)
        turn(session, hidden=False)
        session.wait(lambda: state(session) == "ready", lambda: state(session))
        assert asked(session).count(LIST) == 1


def test_a_session_that_ended_meanwhile_is_marked_and_told_once(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    stays, ends = elsewhere.sign_in(wallet, PHONE), elsewhere.sign_in(wallet, FIREFOX)
    open_list(session)
    elsewhere.end(wallet, ends)
    come_back(session)
    ended = row(session, ends)
    assert ended.get_attribute("data-ended") is not None
    assert "This device was signed out." in ended.text
    assert not part(ended, "session-revoke").is_displayed()
    assert not part(ended, "session-name").is_displayed()
    assert row(session, stays).get_attribute("data-ended") is None
    assert part(row(session, stays), "session-revoke").is_displayed()
    assert spoken(session) == "One device was signed out after you opened this page."
    assert session.see("session-count").text == "You\N{RIGHT SINGLE QUOTATION MARK}re signed in on 2 devices."
    assert "(1)" in session.see("end-others").text
    session.run("document.querySelector('[data-testid=session-speech]').textContent = 'silence'")
    come_back(session)
    assert spoken(session) == "silence", "it was told twice"


def test_ended_sessions_are_reported_in_one_sentence(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handles = [elsewhere.sign_in(wallet) for _ in range(3)]
    open_list(session)
    for handle in handles:
        elsewhere.end(wallet, handle)
    come_back(session)
    assert spoken(session) == "3 devices were signed out after you opened this page."
    assert session.see("session-count").text == "You\N{RIGHT SINGLE QUOTATION MARK}re only signed in here."
    assert session.shown("end-others") is None


def test_a_button_that_goes_away_leaves_the_focus_at_the_reason(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(wallet)
    open_list(session)
    session.run("arguments[0].focus()", part(row(session, handle), "session-revoke"))
    elsewhere.end(wallet, handle)
    come_back(session)
    assert session.focused == part(row(session, handle), "session-ended")


def test_a_new_session_is_announced_with_a_link_to_the_new_list(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    open_list(session)
    elsewhere.sign_in(wallet)
    come_back(session)
    assert "You signed in on another device" in session.see("session-new").text
    assert spoken(session).startswith("You signed in on another device")
    assert session.see("end-others")
    session.follow("session-reload")
    assert len(rows(session)) == 2
    assert session.shown("session-new") is None


def test_the_time_since_the_last_activity_stays_true(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    handle = elsewhere.sign_in(wallet)
    open_list(session)
    assert part(row(session, handle), "session-last-active").text == "just now"
    pass_time(660)
    come_back(session)
    assert part(row(session, handle), "session-last-active").text == "11 minutes ago"
    assert part(row(session, handle), "session-revoke").accessible_name.endswith("last active 11 minutes ago")


def test_missing_answer_marks_no_session_as_ended(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(wallet)
    with unheard(session):
        open_list(session)
    elsewhere.end(wallet, handle)
    session.offline()
    come_back(session, to="offline")
    assert not session.run("return document.querySelectorAll('[data-ended]').length")
    session.online()
    session.run("window.dispatchEvent(new Event('online'))")
    session.wait(lambda: state(session) == "ready", lambda: state(session))
    assert session.run("return document.querySelectorAll('[data-ended]').length") == 1


def test_foreign_answer_marks_no_session_as_ended(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere, interrupt: Interruption
) -> None:
    elsewhere.sign_in(wallet)
    open_list(session)
    interrupt.answers[LIST] = lambda: ("<h1>Sign in to this hotel</h1>", 200)
    come_back(session, to="offline")
    assert not session.run("return document.querySelectorAll('[data-ended]').length")


# -- Ending the others, or all --------------------------------------------------------------------------------


def test_revoking_all_other_devices_needs_a_confirmation(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handles = [elsewhere.sign_in(wallet) for _ in range(3)]
    open_list(session)
    session.follow("end-others")
    session.arrive_at("/sessions/others")
    assert "Nothing can be done with your account there from then on." in session.text
    assert "3 other devices" in session.text
    session.follow("end-cancel")
    session.arrive_at("/sessions")
    assert all(elsewhere.alive(wallet, handle) for handle in handles)
    session.follow("end-others")
    session.follow("end-confirm")
    session.arrive_at("/sessions")
    assert (
        message(session).text
        == "3 other devices are signed out. You\N{RIGHT SINGLE QUOTATION MARK}re still signed in here."
    )
    assert len(rows(session)) == 1
    assert not any(elsewhere.alive(wallet, handle) for handle in handles)


def test_signing_out_everywhere_ends_this_session_too(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(wallet)
    open_list(session)
    session.follow("end-everywhere")
    session.arrive_at("/sessions/everywhere")
    assert "on both of your devices, this one included" in session.text
    session.follow("end-confirm")
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") == "everywhere"
    assert not elsewhere.alive(wallet, handle)
    assert wallet.address not in session.text


def test_single_session_gets_a_message_and_a_way_back(session: Browser) -> None:
    session.open("/sessions/others")
    assert "only signed in here" in session.text
    assert session.shown("end-confirm") is None
    session.follow("end-cancel")
    session.arrive_at("/sessions")
    session.open("/sessions/everywhere")
    assert "You\N{RIGHT SINGLE QUOTATION MARK}ll be signed out on this device" in session.text
    assert session.shown("end-confirm")


# -- Without script -------------------------------------------------------------------------------------------


def test_device_list_and_forms_work_without_script(
    session: Browser, wallet: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(wallet)
    session.scripts(on=False)
    session.open("/sessions")
    assert part(row(session, handle), "session-created").text.endswith(" UTC")
    part(row(session, handle), "session-name").find_element(By.TAG_NAME, "summary").click()
    part(row(session, handle), "session-label").send_keys("Old laptop")
    part(row(session, handle), "session-save").click()
    session.wait(lambda: session.see("message").text == "That device is now called Old laptop.", "not named")
    session.settled(part(row(session, handle), "session-revoke")).click()
    session.wait(lambda: session.see("message").text == "Old laptop is signed out.", "not ended")
    assert len(rows(session)) == 1


# -- The way there --------------------------------------------------------------------------------------------


def current(browser: Browser) -> dict[str, str | None]:
    links = browser.driver.find_elements(By.CSS_SELECTOR, ".site-nav__link")
    return {each.text: each.get_attribute("aria-current") for each in links}


def test_account_navigation_is_on_every_page(session: Browser, wallet: WalletInPage) -> None:
    assert current(session) == {"Session": "page", "Devices": None, "Activity": None}
    session.follow("nav-devices")
    session.arrive_at("/sessions")
    assert current(session)["Devices"] == "page"
    session.open("/sessions/everywhere")
    assert current(session) == {"Session": None, "Devices": "true", "Activity": None}
    session.follow("nav-activity")
    session.arrive_at("/activity")
    session.open("/session")
    session.follow("to-devices")
    session.arrive_at("/sessions")


def test_only_admins_see_the_link_to_the_admin_pages(
    session: Browser, wallet: WalletInPage, services: Services, app: Flask
) -> None:
    assert session.shown("nav-admin") is None
    with app.app_context():
        roles_of(services).assign(account_of(wallet), "admin")
    session.open("/session")
    assert session.see("nav-admin")


@pytest.mark.parametrize("width", [320, 400, 768, 1280])
def test_account_navigation_fits_on_every_screen(
    session: Browser, wallet: WalletInPage, services: Services, app: Flask, width: int
) -> None:
    with app.app_context():
        roles_of(services).assign(account_of(wallet), "admin")
    session.look(width=width)
    session.open("/session")
    links = session.driver.find_elements(By.CSS_SELECTOR, ".site-nav__link")
    assert len(links) == 4
    assert len({each.rect["y"] for each in links}) == 1, "in two lines"
    assert max(each.rect["x"] + each.rect["width"] for each in links) <= width


# -- For everybody --------------------------------------------------------------------------------------------


@pytest.fixture
def several(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> list[str]:
    return [
        elsewhere.sign_in(wallet, LONG, "2001:db8:85a3:1234:5678:8a2e:370:7334"),
        elsewhere.sign_in(wallet, PHONE, kind="professional"),
    ]


def test_device_list_passes_axe_in_each_state(
    session: Browser,
    wallet: WalletInPage,
    elsewhere: Elsewhere,
    several: list[str],
    check: Callable[[str], None],
) -> None:
    open_list(session)
    session.run("for (const each of document.querySelectorAll('details')) each.open = true")
    check("open")
    elsewhere.end(wallet, several[0])
    elsewhere.sign_in(wallet)
    come_back(session)
    session.see("session-new")
    check("ended and new")
    session.driver.refresh()
    session.run("arguments[0].click()", session.settled(part(row(session, several[1]), "session-revoke")))
    message(session)
    check("revoked")
    for place in ("others", "everywhere"):
        session.open(f"/sessions/{place}")
        check(place)


def test_device_list_with_one_session_passes_axe(session: Browser, check: Callable[[str], None]) -> None:
    open_list(session)
    check("alone")
    session.open("/sessions/others")
    check("nothing to end")
    open_without_script(session, "/sessions")
    check("without script")
