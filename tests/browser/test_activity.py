"""The activity of an account: sentences by day, details, filters, pages, downloads, and signing out everywhere."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from sessions_core import events
from sessions_core.parts.activity import Activity
from sessions_core.parts.devices.events import SessionNamed
from sessions_core.parts.roles.events import RoleChanged
from sessions_core.web.services import Services

from ..time_machine import TimeMachine
from .accessibility import open_without_script
from .activity_log import everything
from .conftest import Elsewhere, account_of
from .pages import FIREFOX, PHONE, Browser, part
from .wallet_in_page import WalletInPage


@dataclass(frozen=True, kw_only=True)
class InvoicePaid:
    """An event of the application; no `events.Event`, so that other tests do not count it among ours."""

    name: ClassVar[str] = "invoice.paid"
    kind: ClassVar[str] = "changes"
    kept: ClassVar[str] = "activity"
    account: str
    number: str


@pytest.fixture
def account(wallet: WalletInPage) -> str:
    return str(account_of(wallet))


def open_log(browser: Browser, **query: str) -> list[WebElement]:
    browser.open("/activity", **query)
    browser.wait_for_session("active")
    return rows(browser)


def rows(browser: Browser) -> list[WebElement]:
    return browser.all("activity-row")


def sentences(browser: Browser) -> list[str]:
    return [part(each, "activity-sentence").text for each in rows(browser)]


def kinds(browser: Browser) -> list[str | None]:
    return [each.get_attribute("data-event") for each in rows(browser)]


def days(browser: Browser) -> dict[str, int]:
    """How many entries stand under the name of each day."""
    found = {}
    for day in browser.all("activity-day"):
        name = day.find_element(By.TAG_NAME, "h2").text
        found[name] = len(day.find_elements(By.CSS_SELECTOR, '[data-testid="activity-row"]'))
    return found


def unfold(browser: Browser) -> None:
    """Show the routine events of the first day."""
    browser.see("activity-routine").find_element(By.TAG_NAME, "summary").click()


def choose(browser: Browser, kind: str) -> None:
    page = browser.driver.find_element(By.TAG_NAME, "html")
    browser.driver.find_element(By.CSS_SELECTOR, f'[data-testid="activity-filter"][data-kind="{kind}"]').click()
    browser.wait(lambda: page != browser.driver.find_element(By.TAG_NAME, "html"), "nothing was chosen")


# -- The lines ------------------------------------------------------------------------------------------------


def test_entry_is_a_sentence_with_time_and_device(session: Browser) -> None:
    """The machine name and the IP address are one click away."""
    (line,) = open_log(session)
    assert line.text.split("\n")[:3] == ["Signed in", "just now", "Headless Chrome on Linux"]
    assert line.get_attribute("data-result") == "done"
    assert str(part(line, "activity-time").get_attribute("title")).endswith(" UTC")
    part(line, "activity-details").find_element(By.TAG_NAME, "summary").click()
    assert line.find_element(By.TAG_NAME, "code").text == "session.created"
    assert part(line, "activity-ip").text == "127.0.0.1"
    assert part(line, "activity-at").is_displayed()
    assert "We keep this for 30 days." in session.text


def test_the_newest_line_comes_first(session: Browser, wallet: WalletInPage, elsewhere: Elsewhere) -> None:
    elsewhere.end(wallet, elsewhere.sign_in(wallet, PHONE))
    open_log(session)
    assert sentences(session) == ["Signed out", *["Signed in"] * 2]


def test_refused_attempt_on_the_account_is_explained(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.happen(events.SignInFailed(code="signature_mismatch", account=account), agent=PHONE, ip="198.51.100.9")
    line = open_log(session)[0]
    said = "A sign-in was refused: the signature was not from this account"
    assert part(line, "activity-sentence").text == said
    assert line.get_attribute("data-result") == "refused"
    assert part(line, "activity-sentence").find_elements(By.TAG_NAME, "svg"), "no mark beside the words"
    part(line, "activity-details").find_element(By.TAG_NAME, "summary").click()
    assert "signature_mismatch" in line.text
    assert part(line, "activity-ip").text == "198.51.100.9"


def test_refused_sign_in_of_another_account_is_not_listed(session: Browser, elsewhere: Elsewhere) -> None:
    stranger = "eip155:1:0x71C7656EC7ab88b098defB751B7401B5f6d8976F"
    elsewhere.happen(events.SignInFailed(code="signature_mismatch", account=stranger))
    assert len(open_log(session)) == 1


def test_consecutive_renewals_are_one_line(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.happen(*[events.SessionRenewed(handle="sess_1", account=account)] * 4)
    created, renewed = open_log(session)
    assert not renewed.is_displayed()
    unfold(session)
    assert part(renewed, "activity-sentence").text.split("\n") == ["Stayed signed in", "4 times"]
    assert part(renewed, "activity-count").text == "4 times"
    assert part(created, "activity-sentence").text == "Signed in"


def test_routine_is_folded_at_the_end_of_its_day(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.happen(
        *[events.SessionRenewed(handle="sess_1", account=account)] * 3,
        events.SignInFailed(code="signature_mismatch", account=account),
        SessionNamed(handle="sess_1", account=account),
        events.SessionRotated(handle="sess_1", account=account),
    )
    open_log(session)
    assert [each.get_attribute("data-event") for each in rows(session) if each.is_displayed()] == [
        "signin.failed", "session.created",
    ]  # fmt: skip
    assert session.see("activity-routine").text == "5 routine events"
    unfold(session)
    assert sentences(session)[2:] == ["Session ID renewed", "A device was renamed", "Stayed signed in\n3 times"]


def test_an_event_without_a_sentence_goes_by_its_name(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.happen(InvoicePaid(account=account, number="<b>7</b>"))
    line = open_log(session)[0]
    assert line.get_attribute("data-event") == "invoice.paid"
    assert part(line, "activity-sentence").text == "invoice.paid"


def test_hostile_event_text_is_shown_as_text(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    elsewhere.happen(
        RoleChanged(account=account, before=hostile, after="W" * 120, by=hostile),
        agent=f"{hostile} \N{RIGHT-TO-LEFT OVERRIDE}" + "W" * 300,
    )
    session.look(width=320)
    line = open_log(session)[0]
    assert hostile in part(line, "activity-sentence").text
    assert "Unknown browser" in line.text
    assert not session.driver.find_elements(By.CSS_SELECTOR, "main img")
    assert session.run("return document.documentElement.scrollWidth <= innerWidth"), "wider than the window"


def test_entries_stand_under_the_name_of_their_day(
    session: Browser, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    session.open("/livez")  # an open page would leave when its session ends
    pass_time(2 * 86_400)  # the activity of an account that was here on one day only is kept for three
    session.sign_in(wallet)
    today, other = open_log(session)
    format_day = "toLocaleDateString('en', { weekday: 'long', month: 'long', day: 'numeric' })"
    expected = session.run(f"return new Date(arguments[0].dateTime).{format_day}", part(other, "activity-time"))
    assert days(session) == {"Today": 1, expected: 1}
    assert part(today, "activity-time").text == "just now"
    assert re.fullmatch(r"\d\d?:\d\d( [AP]M)?", part(other, "activity-time").text)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Etc/GMT+12"])
def test_days_are_those_of_the_reader(
    session: Browser, wallet: WalletInPage, account: str, elsewhere: Elsewhere, pass_time: TimeMachine, zone: str
) -> None:
    """One entry every six hours: in a zone far from UTC most are on another day than on the server."""
    session.open("/livez")
    for _ in range(5):
        elsewhere.happen(
            events.SignInFailed(code="challenge_expired", account=account),
            events.SessionRotated(handle="sess_1", account=account),
        )
        pass_time(6 * 3600)
    session.sign_in(wallet)
    session.cdp("Emulation.setTimezoneOverride", timezoneId=zone)
    try:
        open_log(session)
        found = session.run("""
            const days = [...document.querySelectorAll("[data-part=day]")];
            const dates = (day) => [...day.querySelectorAll("[data-part=time]")].map(
                (time) => new Date(time.dateTime).toDateString());
            return days.map((day) => [...new Set(dates(day))]);
        """)
        assert all(len(each) == 1 for each in found), found
        assert len({day for (day,) in found}) == len(found), found
        assert sum(days(session).values()) == 12
        assert list(days(session))[:2] == ["Today", "Yesterday"]
    finally:
        session.cdp("Emulation.setTimezoneOverride", timezoneId="")


# -- Filters and pages ----------------------------------------------------------------------------------------


def test_a_filter_leaves_one_kind(session: Browser, wallet: WalletInPage, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.end(wallet, elsewhere.sign_in(wallet))
    elsewhere.happen(events.SignInFailed(code="challenge_expired", account=account))
    elsewhere.happen(SessionNamed(handle="sess_1", account=account))
    open_log(session)
    assert [each.text for each in session.all("activity-filter")] == [
        "All", "Sign-ins", "Sign-outs", "Changes", "Refused",
    ]  # fmt: skip
    for kind, found in {
        "sign_ins": ["session.created", "session.created"],
        "ends": ["session.ended"],
        "changes": ["session.named"],
        "refusals": ["signin.failed"],
    }.items():
        choose(session, kind)
        assert kinds(session) == found
        chosen = [each for each in session.all("activity-filter") if each.get_attribute("aria-current") == "true"]
        assert [each.get_attribute("data-kind") for each in chosen] == [kind]
    choose(session, "")
    assert len(rows(session)) == 5


def test_a_filter_that_leaves_nothing_says_so(session: Browser) -> None:
    open_log(session)
    choose(session, "refusals")
    assert not rows(session)
    assert "Nothing was refused" in session.see("activity-empty").text
    session.follow("activity-all")
    assert len(rows(session)) == 1


def test_older_lines_are_a_page_further(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.happen(*(events.SessionRotated(handle=f"sess_{n}", account=account) for n in range(59)))
    assert len(open_log(session)) == 50
    assert session.shown("activity-newest") is None
    session.follow("activity-older")
    assert kinds(session) == ["session.created"] + ["session.rotated"] * 9
    assert session.shown("activity-older") is None
    session.follow("activity-newest")
    assert len(rows(session)) == 50


def test_the_next_page_keeps_the_filter(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    for number in range(55):
        elsewhere.happen(events.SessionRotated(handle=f"sess_{number}", account=account))
    open_log(session, kind="changes")
    session.follow("activity-older")
    assert kinds(session) == ["session.rotated"] * 5
    assert "kind=changes" in session.path


def test_behind_the_last_page_there_is_a_way_back(session: Browser, account: str, services: Services) -> None:
    last = services.part(Activity).log.account(account).entries[-1].id
    assert not open_log(session, before=last)
    assert "Nothing older is kept" in session.see("activity-empty").text
    session.follow("activity-newest")
    assert len(rows(session)) == 1


# -- What one can do with it ----------------------------------------------------------------------------------


def test_whole_activity_can_be_downloaded(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.happen(*[events.SessionRenewed(handle="sess_1", account=account)] * 3)
    open_log(session)

    def download(test_id: str) -> str:
        return str(
            session.driver.execute_async_script(
                "fetch(arguments[0].href).then((answer) => answer.text()).then(arguments[1])", session.see(test_id)
            )
        )

    table = list(csv.DictReader(io.StringIO(download("activity-csv"))))
    assert [line["event"] for line in table] == ["session.renewed"] * 3 + ["session.created"]
    assert [line["event"] for line in json.loads(download("activity-json"))] == [line["event"] for line in table]


def test_activity_page_leads_to_sign_out_everywhere(session: Browser) -> None:
    open_log(session)
    session.follow("activity-everywhere")
    session.arrive_at("/sessions/everywhere")
    session.follow("end-confirm")
    session.arrive_at("/signed-out")


def test_activity_page_works_without_script(session: Browser, account: str, elsewhere: Elsewhere) -> None:
    elsewhere.happen(events.SignInFailed(code="challenge_expired", account=account))
    session.scripts(on=False)
    session.open("/activity")
    assert str(part(rows(session)[0], "activity-at").get_attribute("textContent")).endswith(" UTC")
    choose(session, "refusals")
    assert kinds(session) == ["signin.failed"]


# -- For everybody --------------------------------------------------------------------------------------------


def test_activity_page_passes_axe_in_each_state(
    session: Browser, account: str, elsewhere: Elsewhere, check: Callable[[str], None]
) -> None:
    elsewhere.happen(*everything(account), ip="2001:db8:85a3:1234:5678:8a2e:370:7334", agent=FIREFOX)
    open_log(session)
    check("mixed")
    open_log(session, kind="refusals")
    check("refused")
    open_log(session, kind="ends", before="1-1-0")
    check("empty")
    elsewhere.happen(*(events.SessionRotated(handle=f"sess_{n}", account=account) for n in range(50)))
    open_log(session)
    session.follow("activity-older")
    check("page 2")
    open_without_script(session, "/activity")
    check("without script")
