"""Living in a session: the clocks, the warning, all tabs of a browser, and every way in which it ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask, jsonify
from selenium.webdriver import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sessions_core.errors import StoreUnavailable
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services
from sessions_core.web.session_view import iso

from ..part_services import roles_of
from ..time_machine import TimeMachine
from .clocks_in_page import WATCH, asked, let_pass
from .conftest import Hold, Interruption, account_of
from .pages import Browser, ConfirmPanel, ConnectPanel
from .session_page import IDLE, KEEP_ALIVE, VALIDATE, ends_at, press_a_key, turn, warn
from .wallet_in_page import WalletInPage
from .wallet_watch import twin_of


@pytest.fixture
def session(browser: Browser, wallet: WalletInPage) -> Browser:
    """A browser whose person is signed in and looks at their session."""
    browser.enter(wallet)
    browser.wait_for_session("active")
    return browser


@pytest.fixture
def watched(session: Browser) -> Iterator[Browser]:
    """The same, on a page whose questions to the server are noted and whose clocks can be moved."""
    with session.before_scripts(WATCH):
        session.driver.refresh()
        session.wait_for_session("active")
        yield session


def urgent(browser: Browser) -> bool:
    return browser.see("idle-deadline").get_attribute("data-urgent") is not None


def spoken(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('[data-part=speech]').textContent"))


# -- The page -----------------------------------------------------------------------------------------------


def test_session_page_shows_account_and_permissions(session: Browser, wallet: WalletInPage) -> None:
    assert wallet.address in session.text
    assert wallet.address[:6] in session.see("session-account").text
    assert session.see("session-network").text.split("\n")[0].startswith("Ethereum Mainnet")
    allowed = {
        item.find_element(By.TAG_NAME, "code").text: item.get_attribute("data-allowed")
        for item in session.all("session-permission")
    }
    assert allowed["transact"] == allowed["sign"] == "true"
    assert allowed["test-only"] == "false"


def test_a_test_network_gives_other_permissions(browser: Browser, make_wallet: Any) -> None:
    browser.sign_in(make_wallet(chain=11155111))
    assert "Testnet: no real value" in browser.see("session-network").text
    allowed = {
        item.find_element(By.TAG_NAME, "code").text: item.get_attribute("data-allowed")
        for item in browser.all("session-permission")
    }
    assert (allowed["transact"], allowed["test-only"]) == ("false", "true")


def granted(browser: Browser) -> dict[str, tuple[str, str]]:
    """Each permission of the page with what it is called and what is said of it."""
    found = {}
    for item in browser.all("session-permission"):
        name, *words = (item.find_element(By.TAG_NAME, each).text for each in ("code", "dt", "dd"))
        found[name] = (words[0].removesuffix(name).strip(), words[1])
    return found


def test_the_page_leads_to_everything_else_of_the_account(session: Browser) -> None:
    assert session.see("session-signed").text
    for link, path in (("to-devices", "/sessions"), ("to-activity", "/activity")):
        session.open("/session")
        session.follow(link)
        session.arrive_at(path)


def test_signature_restarts_both_clocks(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    pass_time(1500)
    session.driver.refresh()
    before = ends_at(session, "absolute-deadline")
    session.follow("extend")
    session.arrive_at("/confirm")
    session.click("confirm-button")
    wallet.approve_sign()
    session.arrive_at("/session")
    assert session.see("message").text == "Your session is extended. It lasts 12 hours from now."
    session.wait(lambda: session.focused == session.see("message"), "reading does not start at the message")
    assert timedelta(minutes=25) <= ends_at(session, "absolute-deadline") - before < timedelta(minutes=27)


def test_restricting_role_is_explained_with_its_limits(
    session: Browser, wallet: WalletInPage, services: Services, app: Flask
) -> None:
    with app.app_context():
        roles_of(services).assign(account_of(wallet), "restricted")
    session.open("/session")
    assert session.see("session-role").text.startswith("restricted\nCan only read")
    words = "Not allowed. Your role doesn\N{RIGHT SINGLE QUOTATION MARK}t include it."
    assert granted(session)["transact"] == ("Send transactions", words)
    assert granted(session)["read:profile"][1] == "Allowed"
    assert session.shown("professional-offer") is None


def test_a_verified_professional_is_offered_a_session_of_its_own(
    session: Browser, wallet: WalletInPage, services: Services, app: Flask
) -> None:
    with app.app_context():
        roles_of(services).verify(account_of(wallet), "lic_1234", "licensed", 30)
    session.open("/session")
    assert "You are verified as a professional" in session.see("professional-offer").text
    assert session.shown("session-professional") is None
    session.follow("professional-start")
    session.sign_in(wallet, again="1", session_type="professional")
    session.arrive_at("/session")
    assert session.see("session-type").text.startswith("professional")
    assert "lic_1234" in session.see("session-professional").text
    assert "licensed" in session.see("session-professional").text
    assert session.shown("professional-offer") is None
    assert granted(session)["write:therapy_notes"] == ("Write therapy notes", "Allowed")
    with app.app_context():
        roles_of(services).revoke_verification(account_of(wallet))
    session.open("/session")
    assert "Not verified any more" in session.see("session-professional").text
    assert granted(session)["write:therapy_notes"][1].endswith("You are not verified as a professional any more.")


def test_a_reload_keeps_the_session(session: Browser, wallet: WalletInPage) -> None:
    session.driver.refresh()
    session.wait_for_session("active")
    assert wallet.address in session.text


def test_the_address_can_be_copied(session: Browser, wallet: WalletInPage) -> None:
    session.allow_clipboard()
    session.click("copy-address")
    session.wait(lambda: "Copied" in session.text, "nothing was copied")
    assert session.clipboard() == wallet.address


def test_the_clocks_count_from_the_servers_word(session: Browser, pass_time: TimeMachine) -> None:
    assert session.see("idle-deadline").get_attribute("data-urgent") is None
    pass_time(IDLE - 290)
    session.look_again()
    session.wait(lambda: session.see("idle-deadline").get_attribute("data-urgent") is not None, "never urgent")
    assert session.shown("timeout-dialog") is None


def test_stay_signed_in_is_offered_near_the_end_only(session: Browser, pass_time: TimeMachine) -> None:
    assert session.shown("stay-signed-in") is None
    assert session.shown("session-soon") is None
    pass_time(IDLE - 290)
    session.look_again()
    assert session.see("stay-signed-in").text == "Stay signed in"
    assert "min" in session.see("session-soon").text


def test_page_says_in_one_line_when_the_session_ends(session: Browser) -> None:
    line = session.see("idle-deadline").text + " " + session.see("absolute-deadline").text
    clock = r"\d\d?:\d\d(\s[AP]M)?"
    words = rf"Signed out at {clock} if you\Wre inactive\. Your session ends (\w+ )?{clock}\."
    assert re.fullmatch(words, line), line


@pytest.mark.parametrize("width", [320, 1280])
def test_answer_stands_beside_its_button(session: Browser, pass_time: TimeMachine, hold: Hold, width: int) -> None:
    session.look(width=width, height=480)
    pass_time(IDLE - 290)
    session.look_again()
    button = session.see("stay-signed-in")
    session.run("arguments[0].scrollIntoView({ block: 'center' })", button)
    hold(*KEEP_ALIVE)
    button.click()
    session.wait(lambda: button.get_attribute("aria-busy") == "true", "it looks as if nothing happened")
    assert button.get_attribute("aria-disabled") == "true"
    assert "Keeping you signed in" in session.see("stay-result").text
    hold.release()
    session.wait(lambda: "still signed in" in session.see("stay-result").text, "no word of it")
    assert button.get_attribute("aria-busy") is None
    assert session.run(
        "const { top, bottom } = arguments[0].getBoundingClientRect(); return top >= 0 && bottom <= innerHeight",
        session.see("stay-result"),
    )
    assert session.focused == button


def test_button_restarts_the_idle_clock(session: Browser, pass_time: TimeMachine, services: Services) -> None:
    pass_time(IDLE - 300)
    session.look_again()
    session.click("stay-signed-in")
    session.wait(lambda: "still signed in" in session.see("stay-result").text, "no word of it")
    pass_time(IDLE - 300)
    session.look_again()
    session.wait_for_session("active")


# -- What the person does ------------------------------------------------------------------------------------


def press_the_pointer(browser: Browser) -> None:
    browser.driver.find_element(By.TAG_NAME, "h1").click()


@pytest.mark.parametrize("act", [press_a_key, press_the_pointer])
def test_key_press_and_pointer_press_restart_the_idle_clock(
    watched: Browser, pass_time: TimeMachine, act: Callable[[Browser], None]
) -> None:
    pass_time(IDLE - 290)
    watched.look_again()
    watched.wait(lambda: urgent(watched), "never urgent")
    let_pass(watched, 61)
    act(watched)
    # Only an answer of the server moves the deadline.
    watched.wait(lambda: not urgent(watched), lambda: f"only asked {asked(watched)}")
    pass_time(IDLE - 290)
    watched.driver.refresh()
    watched.wait_for_session("active")


def test_activity_is_reported_once_a_minute(watched: Browser, hold: Hold) -> None:
    press_a_key(watched)
    assert asked(watched) == [], "opening the page was activity already"
    let_pass(watched, 61)
    watched.run(
        "window.told = [];"
        "new BroadcastChannel('wallet-session').addEventListener('message', ({ data }) => told.push(data.type))"
    )
    hold(*KEEP_ALIVE)
    watched.press("a", "b", "c")
    press_the_pointer(watched)
    assert asked(watched) == [KEEP_ALIVE], "not while it is being reported"
    hold.release()
    watched.wait(lambda: watched.run("return told") == ["extended"], "the other tabs were not told")
    let_pass(watched, 50)
    press_a_key(watched)
    assert asked(watched) == [KEEP_ALIVE]
    let_pass(watched, 11)
    press_a_key(watched)
    assert asked(watched) == [KEEP_ALIVE] * 2


def test_activity_within_the_minute_is_reported_at_its_end(watched: Browser) -> None:
    let_pass(watched, 58.5)
    press_a_key(watched)
    assert asked(watched) == []
    watched.wait(lambda: asked(watched) == [KEEP_ALIVE], "forgotten")


def test_scrolling_and_moving_the_mouse_are_no_activity(watched: Browser) -> None:
    watched.look(height=300)
    let_pass(watched, 61)
    watched.run(
        "window.seen = new Set();"
        "for (const type of ['wheel', 'scroll', 'mousemove', 'pointermove'])"
        "  document.addEventListener(type, () => seen.add(type), { capture: true, passive: true });"
    )
    heading = watched.driver.find_element(By.TAG_NAME, "h1")
    ActionChains(watched.driver).move_to_element(heading).move_by_offset(9, 9).scroll_by_amount(0, 90).perform()
    watched.wait(lambda: watched.run("return seen.size") == 4, lambda: f"only {watched.run('return [...seen]')}")
    assert asked(watched) == []
    press_a_key(watched)
    assert asked(watched) == [KEEP_ALIVE], "it would have been reported"


def test_coming_back_to_the_tab_asks_the_server(watched: Browser, wallet: WalletInPage, services: Services) -> None:
    turn(watched, hidden=True)
    assert asked(watched) == []
    revoke(services, wallet)
    turn(watched, hidden=False)
    watched.arrive_at("/signed-out")
    assert wallet.address not in watched.text


def test_waking_from_sleep_asks_the_server(watched: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    pass_time(IDLE + 1)
    # The monotonic clock of many systems stands still meanwhile.
    watched.run("ahead.wall += arguments[0]", (IDLE + 1) * 1000)
    watched.arrive_at("/signed-out")
    assert watched.see("signed-out").get_attribute("data-reason") == "idle"
    assert wallet.address not in watched.text


# -- The warning --------------------------------------------------------------------------------------------


def test_the_warning_starts_on_the_safe_button(session: Browser, pass_time: TimeMachine) -> None:
    warn(session, pass_time)
    assert session.session_state == "warning"
    dialog = session.see("timeout-dialog")
    assert dialog.get_attribute("data-state") == "warning"
    assert session.focused.get_attribute("data-testid") == "timeout-stay"
    assert session.see("timeout-remaining").text == "2 minutes"
    assert dialog.aria_role == "alertdialog"
    assert "about to be signed out" in dialog.accessible_name


def test_staying_closes_the_warning_once_the_server_agreed(
    session: Browser, pass_time: TimeMachine, hold: Hold
) -> None:
    warn(session, pass_time)
    hold(*KEEP_ALIVE)
    session.click("timeout-stay")
    session.wait(lambda: session.see("timeout-dialog").get_attribute("data-state") == "extending", "not busy")
    assert session.see("timeout-stay").get_attribute("aria-disabled") == "true"
    hold.release()
    session.see_no("timeout-dialog")
    session.wait_for_session("active")
    assert "still signed in" in session.see("session-line").text


def test_escape_key_keeps_the_session_alive(session: Browser, pass_time: TimeMachine) -> None:
    warn(session, pass_time)
    session.press(Keys.ESCAPE)
    session.wait_for_session("active")
    session.see_no("timeout-dialog")
    warn(session, pass_time, left=100)


def test_a_session_can_be_extended_ten_times(session: Browser, pass_time: TimeMachine) -> None:
    for _ in range(10):
        warn(session, pass_time)
        session.press(Keys.ENTER)
        session.see_no("timeout-dialog")
        session.wait_for_session("active")


def test_the_countdown_is_spoken_in_whole_sentences(session: Browser, pass_time: TimeMachine) -> None:
    warn(session, pass_time, left=62)
    for gone, words in ((0, "1 minute"), (20, "40 seconds"), (20, "20 seconds")):
        pass_time(gone)
        session.look_again()
        session.wait(
            lambda words=words: spoken(session) == f"We\N{RIGHT SINGLE QUOTATION MARK}ll sign you out in {words}.",
            lambda: f"spoken: {spoken(session)!r}",
        )
        assert session.see("timeout-remaining").text == words


def test_warning_is_described_in_whole_sentences(session: Browser, pass_time: TimeMachine) -> None:
    """What screen readers say when the warning opens."""
    warn(session, pass_time)
    dialog = session.cdp("Runtime.evaluate", expression="document.querySelector('[data-testid=timeout-dialog]')")
    tree = session.cdp("Accessibility.getPartialAXTree", objectId=dialog["result"]["objectId"], fetchRelatives=False)
    description = tree["nodes"][0]["description"]["value"]
    assert re.search(r"sign you out in 2 minutes\s*\. Anything", description), description


def test_title_warns_the_user_of_another_tab(session: Browser, pass_time: TimeMachine) -> None:
    title = session.driver.title
    warn(session, pass_time)
    assert session.driver.title == title, "nobody needs it who sees the warning"
    assert turn(session, hidden=True) == f"Signing out in 2 minutes \N{EN DASH} {title}"
    pass_time(70)
    session.look_again()
    # By the minute: a title that ticks is noise.
    session.wait(
        lambda: session.driver.title == f"Signing out in 1 minute \N{EN DASH} {title}", lambda: session.driver.title
    )
    assert turn(session, hidden=False) == title


def test_the_title_warns_no_longer_than_the_warning_stands(session: Browser, pass_time: TimeMachine) -> None:
    title = session.driver.title
    turn(session, hidden=True)
    warn(session, pass_time)
    assert session.driver.title == f"Signing out in 2 minutes \N{EN DASH} {title}"
    session.press(Keys.ENTER)
    session.see_no("timeout-dialog")
    session.wait(lambda: session.driver.title == title, lambda: session.driver.title)


def test_lost_connection_is_explained_with_a_next_step(session: Browser, pass_time: TimeMachine) -> None:
    warn(session, pass_time)
    session.offline()
    session.click("timeout-stay")
    session.wait(lambda: session.see("timeout-dialog").get_attribute("data-state") == "error", "no error")
    assert "reach the server" in session.see("timeout-dialog").text
    assert session.see("timeout-stay").text == "Try again"
    session.online()
    session.click("timeout-stay")
    session.see_no("timeout-dialog")
    session.wait_for_session("active")


def test_refused_keep_alive_leads_out_with_the_reason(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine, services: Services
) -> None:
    warn(session, pass_time)
    revoke(services, wallet)
    session.click("timeout-stay")
    session.arrive_at("/signed-out")
    assert wallet.address not in session.text


def test_without_an_answer_the_session_ends(session: Browser, wallet: WalletInPage, pass_time: TimeMachine) -> None:
    pass_time(IDLE + 1)
    session.look_again()
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") == "idle"
    assert "You were inactive for 30 minutes" in session.text
    assert wallet.address not in session.text
    session.click("sign-in-again")
    session.arrive_at("/sign-in")
    assert "next=/session" in session.path


def test_the_clock_of_the_page_itself_ends_the_session(watched: Browser, pass_time: TimeMachine) -> None:
    warn(watched, pass_time, left=60)
    pass_time(61)
    let_pass(watched, 61)
    watched.arrive_at("/signed-out")
    assert watched.see("signed-out").get_attribute("data-reason") == "idle"


def test_late_valid_answer_does_not_keep_an_idle_page_waiting(
    session: Browser, pass_time: TimeMachine, interrupt: Interruption
) -> None:
    """The session was alive when the server answered and idle when the answer arrived."""
    said: list[str] = []

    def alive_just_then() -> Any:
        if said:
            return None
        said.append(iso(datetime.now(UTC)))
        times = dict.fromkeys(("now", "idle_expires_at", "absolute_expires_at"), said[0])
        return jsonify(success=True, data={"valid": True, **times})

    pass_time(IDLE + 1)
    interrupt.answers["/api/auth/sessions/validate", "GET"] = alive_just_then
    session.look_again()
    session.arrive_at("/signed-out")
    assert said
    assert session.see("signed-out").get_attribute("data-reason") == "idle"


class TestTheAbsoluteEnd:
    """No activity moves it, so the warning offers something else."""

    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_ABSOLUTE_SECONDS": 2400}

    @pytest.fixture
    def near_the_end(self, session: Browser, pass_time: TimeMachine) -> Browser:
        pass_time(1500)
        session.driver.refresh()
        session.wait_for_session("active")
        pass_time(650)
        session.look_again()
        session.see("timeout-dialog")
        return session

    def test_absolute_warning_offers_to_sign_in_again(self, near_the_end: Browser) -> None:
        dialog = near_the_end.see("timeout-dialog")
        assert dialog.get_attribute("data-state") == "absolute"
        assert near_the_end.shown("timeout-stay") is None
        assert "a session lasts 40 minutes at most" in dialog.text
        assert "/sign-in" in str(near_the_end.see("timeout-again").get_attribute("href"))

    def test_absolute_warning_extends_in_a_new_tab(self, near_the_end: Browser, wallet: WalletInPage) -> None:
        """The page keeps what was typed; the warning closes once the other tab has signed."""
        before = ends_at(near_the_end, "absolute-deadline")
        near_the_end.click("timeout-extend")
        near_the_end.wait(lambda: len(near_the_end.driver.window_handles) == 2, "no new tab")
        [tab] = set(near_the_end.driver.window_handles) - {near_the_end.home}
        near_the_end.switch_to(tab)
        near_the_end.arrive_at("/confirm")
        assert near_the_end.shown("timeout-dialog") is None
        twin = twin_of(wallet, near_the_end)
        near_the_end.driver.refresh()
        ConfirmPanel(near_the_end).confirm(twin)
        near_the_end.arrive_at("/session")
        near_the_end.switch_to(near_the_end.home)
        near_the_end.see_no("timeout-dialog")
        assert ends_at(near_the_end, "absolute-deadline") > before

    def test_absolute_warning_is_shown_once(self, near_the_end: Browser) -> None:
        near_the_end.click("timeout-continue")
        near_the_end.see_no("timeout-dialog")
        near_the_end.driver.refresh()
        near_the_end.wait_for_session("warning")
        assert near_the_end.shown("timeout-dialog") is None

    def test_signing_in_again_starts_a_new_session(self, near_the_end: Browser, wallet: WalletInPage) -> None:
        near_the_end.click("timeout-again")
        near_the_end.arrive_at("/sign-in")
        panel = ConnectPanel(near_the_end)
        panel.wait_for("wallet_list")
        panel.choose(wallet)
        panel.wait_for("ready_to_sign")
        panel.sign()
        wallet.approve_sign()
        near_the_end.arrive_at("/session")
        near_the_end.wait_for_session("active")

    def test_absolute_end_comes_even_if_dismissed(self, near_the_end: Browser, pass_time: TimeMachine) -> None:
        near_the_end.click("timeout-continue")
        pass_time(260)
        near_the_end.look_again()
        near_the_end.arrive_at("/signed-out")
        assert near_the_end.see("signed-out").get_attribute("data-reason") == "absolute"


# -- Signing out ---------------------------------------------------------------------------------------------


def test_signing_out_ends_the_session_on_the_server(session: Browser, wallet: WalletInPage) -> None:
    session.click("sign-out")
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") == "signed_out"
    assert session.session_state == "signed_out"
    assert wallet.address not in session.text
    assert not [cookie for cookie in session.driver.get_cookies() if cookie["name"] == "__Host-session"]
    session.open("/session")
    session.arrive_at("/sign-in")


def test_the_warning_offers_to_sign_out_at_once(session: Browser, pass_time: TimeMachine) -> None:
    warn(session, pass_time)
    session.click("timeout-signout")
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") == "signed_out"


def test_a_link_asks_before_it_signs_out(session: Browser) -> None:
    session.open("/sign-out")
    assert "Sign out?" in session.text
    session.open("/session")
    session.wait_for_session("active")


def test_back_button_after_sign_out_shows_nothing_private(session: Browser, wallet: WalletInPage) -> None:
    session.click("sign-out")
    session.arrive_at("/signed-out")
    session.driver.back()
    session.wait(lambda: session.path.split("?")[0] in ("/signed-out", "/sign-in"), lambda: session.path)
    assert wallet.address not in session.text
    assert wallet.address[:6] not in session.text


def test_cached_page_is_covered_until_the_server_answers(
    session: Browser, wallet: WalletInPage, services: Services, hold: Hold
) -> None:
    """A page restored from the back/forward cache must not show the account of a revoked session."""
    session.run("window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    hold(*VALIDATE)
    revoke(services, wallet)
    session.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    assert "Checking your session" in session.text
    covered = session.run(
        "const box = document.querySelector('[data-testid=session-account]').getBoundingClientRect();"
        "const top = document.elementFromPoint(box.x + 5, box.y + 5);"
        "return top === null || top.closest('[data-part=cover]') !== null"
    )
    assert covered, "the account shows through the cover"
    hold.release()
    session.arrive_at("/signed-out")


# -- Several tabs ---------------------------------------------------------------------------------------------


def test_staying_in_one_tab_closes_the_warning_in_the_other(session: Browser, pass_time: TimeMachine) -> None:
    other = session.new_tab()
    session.open("/session")
    session.wait_for_session("active")
    pass_time(IDLE - 110)
    for tab in (session.home, other):
        session.switch_to(tab)
        session.look_again()
        session.see("timeout-dialog")
    session.press(Keys.ENTER)
    session.see_no("timeout-dialog")
    session.switch_to(session.home)
    session.see_no("timeout-dialog")
    session.wait_for_session("active")


def test_signing_out_in_one_tab_empties_the_other(session: Browser, wallet: WalletInPage) -> None:
    session.new_tab()
    session.open("/session")
    session.click("sign-out")
    session.arrive_at("/signed-out")
    session.switch_to(session.home)
    session.arrive_at("/signed-out")
    assert wallet.address not in session.text
    assert session.see("signed-out").get_attribute("data-reason") == "signed_out"


@pytest.fixture
def without_channels(session: Browser) -> Iterator[Browser]:
    """The same in a browser without BroadcastChannel, on a page that does not ask when one comes back to it."""
    deaf = (
        "delete window.BroadcastChannel;"
        "for (const type of ['focus', 'visibilitychange', 'resume'])"
        "  window.addEventListener(type, (event) => event.stopImmediatePropagation(), { capture: true });"
    )
    with session.before_scripts(deaf):
        session.driver.refresh()
        session.wait_for_session("active")
        yield session


def test_signing_out_without_script_shows_when_one_comes_back(session: Browser, wallet: WalletInPage) -> None:
    """Nothing reaches the other tab: the storage of the site stays as it is."""
    session.new_tab()
    session.scripts(on=False)
    session.open("/session")
    session.click("sign-out")
    session.arrive_at("/signed-out")
    session.switch_to(session.home)
    session.look_again()
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") == "signed_out"
    assert wallet.address not in session.text


def test_tabs_without_broadcast_channel_use_storage_events(without_channels: Browser, pass_time: TimeMachine) -> None:
    """A keep-alive in one tab closes the timeout warning in the other."""
    browser = without_channels
    pass_time(IDLE - 110)
    browser.run("window.dispatchEvent(new Event('online'))")
    browser.see("timeout-dialog")
    browser.new_tab()
    with browser.before_scripts("delete window.BroadcastChannel"):
        browser.open("/session")
        browser.wait_for_session("active")
    browser.switch_to(browser.home)
    browser.see_no("timeout-dialog")
    browser.wait_for_session("active")


# -- Ended from elsewhere ---------------------------------------------------------------------------------------


def revoke(services: Services, wallet: WalletInPage) -> None:
    services.lifecycle.revoke_account(parse(f"eip155:{wallet.chain}:{wallet.address}"))


def test_a_session_ended_elsewhere_ends_here(session: Browser, wallet: WalletInPage, services: Services) -> None:
    revoke(services, wallet)
    session.look_again()
    session.arrive_at("/signed-out")
    assert session.see("signed-out").get_attribute("data-reason") in ("revoked", "everywhere")
    assert wallet.address not in session.text


# -- Trouble ------------------------------------------------------------------------------------------------------


def test_offline_browser_is_not_signed_out(session: Browser) -> None:
    session.offline()
    session.run("window.dispatchEvent(new Event('offline'))")
    session.wait_for_session("offline")
    assert "You stay signed in until" in session.see("session-line").text
    session.online()
    session.run("window.dispatchEvent(new Event('online'))")
    session.wait_for_session("active")


@pytest.mark.parametrize("status", [500, 502, 503, 404, 401])
def test_foreign_answer_does_not_sign_out(session: Browser, interrupt: Interruption, status: int) -> None:
    interrupt.answers[VALIDATE] = lambda: ("<h1>Not ours</h1>", status)
    session.look_again()
    session.wait_for_session("offline")
    interrupt.answers.clear()
    session.look_again()
    session.wait_for_session("active")


def test_a_sign_out_that_fails_says_so(
    app: Flask, session: Browser, monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise StoreUnavailable("test", retry_after=1)

    with monkeypatch.context() as patch:
        patch.setattr(type(services.lifecycle), "revoke", gone)
        session.click("sign-out")
        session.wait(lambda: "You are still signed in" in session.text, lambda: session.text)
    session.click("retry")
    session.arrive_at("/sign-out")
    session.click("sign-out")
    session.arrive_at("/signed-out")


def test_a_form_with_a_stale_token_recovers_with_one_click(session: Browser) -> None:
    session.run("for (const field of document.getElementsByName('csrf_token')) field.value = 'stale'")
    session.click("sign-out")
    session.wait(lambda: "That form has expired" in session.text, lambda: session.text)
    session.click("retry")
    session.arrive_at("/session")
    session.wait_for_session("active")


# -- Without script -------------------------------------------------------------------------------------------------


def test_without_script_the_page_says_until_when_and_forms_work(session: Browser, pass_time: TimeMachine) -> None:
    session.scripts(on=False)
    session.driver.refresh()
    banner = session.driver.find_elements(By.CSS_SELECTOR, '[data-testid="noscript-banner"]')
    assert [line.text for line in banner if line.is_displayed()]
    assert "Reload or follow any link to stay signed in" in banner[0].text
    pass_time(IDLE - 60)
    session.follow("stay-signed-in")
    session.arrive_at("/session")
    pass_time(IDLE - 60)
    session.open("/session")
    session.arrive_at("/session")
    session.click("sign-out")
    session.arrive_at("/signed-out")
    session.see("signed-out")
