"""Administration: from the first page to a role that holds, and what those see who may not come in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select

from sessions_core.web.services import Services

from ..part_services import roles_of
from ..time_machine import TimeMachine
from .conftest import Elsewhere, account_of
from .pages import FIREFOX, Browser, ConfirmPanel, ConnectPanel
from .wallet_in_page import MakeWallet, WalletInPage


@pytest.fixture
def member(make_wallet: MakeWallet, elsewhere: Elsewhere) -> WalletInPage:
    """Somebody who signed in lately in another browser."""
    wallet = make_wallet("Member's Wallet")
    wallet.uninstall()
    elsewhere.sign_in(wallet, FIREFOX)
    return wallet


@pytest.fixture
def admin(browser: Browser, wallet: WalletInPage, services: Services) -> Browser:
    """A browser whose person administers the site, at its first page."""
    roles_of(services).assign(account_of(wallet), "admin")
    browser.sign_in(wallet, next="/admin")
    browser.arrive_at("/admin")
    return browser


@pytest.fixture
def panel(browser: Browser) -> ConfirmPanel:
    return ConfirmPanel(browser)


def open_account(browser: Browser, wallet: WalletInPage) -> None:
    browser.open(f"/admin/accounts/{account_of(wallet)}")
    browser.see("admin-account")


def row_of(browser: Browser, wallet: WalletInPage) -> WebElement:
    selector = f"[data-testid=admin-account-row][data-account='{account_of(wallet)}']"
    return browser.driver.find_element(By.CSS_SELECTOR, selector)


def confirm(panel: ConfirmPanel, action: str, wallet: WalletInPage) -> str:
    panel.arrive(action)
    return panel.confirm(wallet)


def flash(browser: Browser) -> str:
    """What the page says it has done; reading starts there."""
    said = browser.see("admin-flash").text
    browser.wait(lambda: browser.focused.get_attribute("data-testid") == "message", "reading does not start there")
    return said


def fill(browser: Browser, **fields: str) -> None:
    for name, value in fields.items():
        field = browser.driver.find_element(By.ID, name)
        field.clear()
        field.send_keys(value)


# -- The way in --------------------------------------------------------------------------------------------------


def test_admin_page_lists_accounts_with_role_or_recent_sign_in(
    admin: Browser, wallet: WalletInPage, member: WalletInPage
) -> None:
    admin.driver.refresh()
    assert row_of(admin, wallet).get_attribute("data-role") == "admin"
    assert "You" in row_of(admin, wallet).text
    assert "Member" in row_of(admin, member).text
    assert "just now" in row_of(admin, member).text


def test_an_account_is_looked_up_by_its_address(admin: Browser, member: WalletInPage) -> None:
    fill(admin, account=str(account_of(member)).lower())
    admin.press(Keys.ENTER)
    admin.see("admin-account")
    assert member.address in admin.text


@pytest.mark.parametrize(
    ("text", "words"), [("0x12*4", "That is no account"), ("0x" + "1" * 40, "No account of that address was found")]
)
def test_account_that_is_not_found_is_reported_at_the_field(admin: Browser, text: str, words: str) -> None:
    fill(admin, account=text)
    admin.press(Keys.ENTER)
    assert words in admin.see("admin-lookup-error").text
    assert admin.focused.get_attribute("id") == "account"
    assert admin.focused.get_attribute("value") == text


def test_account_is_found_by_address_prefix_role_and_device(
    admin: Browser,
    member: WalletInPage,
    elsewhere: Elsewhere,
    services: Services,
    check: Callable[[str], None],
) -> None:
    """Each list of hits passes axe, on a phone of 320 px too, and leads to the account."""
    roles_of(services).assign(account_of(member), "restricted")
    handle = elsewhere.sign_in(member, FIREFOX)
    account = str(account_of(member))
    for kind, text in (("address", member.address), ("prefix", member.address[:9].lower()), ("role", "restricted")):
        admin.open("/admin")
        fill(admin, account=text)
        admin.press(Keys.ENTER)
        assert admin.see("admin-hits").get_attribute("data-kind") == kind
        [row] = admin.all("admin-account-row")
        assert row.get_attribute("data-account") == account
        check(kind)
    row.find_element(By.TAG_NAME, "a").click()
    admin.see("admin-account")
    admin.open("/admin")
    fill(admin, device="firefox linux")
    admin.press(Keys.ENTER)
    assert handle in [row.get_attribute("data-handle") for row in admin.all("admin-session-row")]
    assert "Searched all sessions" in admin.see("lookup-searched").text
    check("device")
    admin.open("/admin", account="0x000000000")
    check("a search to be continued")
    admin.click("lookup-continue")
    admin.wait(lambda: "Searched all sessions" in admin.see("lookup-searched").text)
    assert "Nothing was found" in admin.see("lookup-none").text


def test_admin_pages_need_a_signature_after_15_minutes(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, pass_time: TimeMachine
) -> None:
    """The wallet signs `admin.open` and the administrator arrives at the page they asked for."""
    pass_time(901)
    admin.open("/admin/activity")
    text = confirm(panel, "admin.open", wallet)
    assert "\nOpen the administration of this site.\n" in text
    admin.arrive_at("/admin/activity")


def test_cancel_there_does_not_lead_back_to_the_same_question(
    admin: Browser, panel: ConfirmPanel, pass_time: TimeMachine
) -> None:
    pass_time(901)
    admin.open("/admin")
    panel.arrive("admin.open")
    admin.follow("confirm-cancel")
    admin.arrive_at("/session")


# -- Roles -------------------------------------------------------------------------------------------------------


def test_from_the_first_page_to_a_role_that_holds(
    admin: Browser,
    panel: ConfirmPanel,
    wallet: WalletInPage,
    member: WalletInPage,
    services: Services,
) -> None:
    admin.driver.refresh()
    row_of(admin, member).find_element(By.TAG_NAME, "a").click()
    admin.see("admin-account")
    Select(admin.driver.find_element(By.ID, "role")).select_by_value("admin")
    admin.click("admin-role-save")
    panel.arrive("admin.role")
    assert roles_of(services).status(account_of(member)).role == "member"
    assert panel.sentence == f"Give the role admin to {account_of(member)}."
    assert f"\nGive the role admin to {account_of(member)}.\n" in panel.confirm(wallet)
    assert flash(admin) == "This account now has the role “Admin”."
    assert roles_of(services).status(account_of(member)).role == "admin"
    # And the new administrator can come in.
    admin.forget_everything()
    member.install()
    wallet.uninstall()
    admin.sign_in(member, next="/admin")
    admin.arrive_at("/admin")
    assert row_of(admin, member).get_attribute("data-role") == "admin"


def test_role_that_the_account_already_has_is_not_assigned_again(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, member: WalletInPage
) -> None:
    open_account(admin, member)
    admin.click("admin-role-save")
    confirm(panel, "admin.role", wallet)
    assert "had the role “Member” already" in flash(admin)


def test_admin_can_not_change_their_own_role(admin: Browser, wallet: WalletInPage) -> None:
    open_account(admin, wallet)
    assert not admin.see("admin-role-save").is_enabled()
    assert not admin.driver.find_element(By.ID, "role").is_enabled()
    assert "change your own role" in admin.see("admin-role").text


def test_a_form_that_changes_it_all_the_same_is_refused_in_words(
    admin: Browser, wallet: WalletInPage, services: Services
) -> None:
    open_account(admin, wallet)
    admin.run(
        "for (const each of document.querySelectorAll('#role, [data-testid=admin-role-save]')) each.disabled = false"
    )
    Select(admin.driver.find_element(By.ID, "role")).select_by_value("member")
    admin.follow("admin-role-save")
    assert "change your own role" in admin.see("error").text
    admin.follow("retry")
    admin.see("admin-account")
    assert roles_of(services).status(account_of(wallet)).role == "admin"


def test_declining_in_the_wallet_assigns_no_role(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, member: WalletInPage, services: Services
) -> None:
    open_account(admin, member)
    Select(admin.driver.find_element(By.ID, "role")).select_by_value("restricted")
    admin.click("admin-role-save")
    panel.arrive("admin.role")
    panel.start()
    wallet.reject()
    panel.wait_for("rejected")
    admin.follow("confirm-cancel")
    admin.see("admin-account")
    assert roles_of(services).status(account_of(member)).role == "member"


# -- Verification ------------------------------------------------------------------------------------------------


def test_verified_account_can_start_a_professional_session(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, member: WalletInPage
) -> None:
    """An administrator verifies the account, which then gets the professional type with its shorter idle time."""
    open_account(admin, member)
    fill(admin, professional_id="lic_2026-4711", level="licensed", days="90")
    admin.click("admin-verify")
    text = confirm(panel, "admin.verify", wallet)
    assert f"\nVerify {account_of(member)} as professional lic_2026-4711, level licensed, for 90 days.\n" in text
    assert "now verified as a professional, level licensed" in flash(admin)
    assert admin.see("admin-verification").get_attribute("data-state") == "verified"
    admin.forget_everything()
    wallet.uninstall()
    member.install()
    ConnectPanel(admin).open(session_type="professional")
    assert "15 minutes of inactivity" in admin.see("session-kind").text
    admin.sign_in(member, session_type="professional")
    admin.arrive_at("/session")
    assert "professional" in admin.see("session-type").text.lower()


@pytest.mark.parametrize(
    ("field", "value"),
    [("professional_id", "4711"), ("level", "Very High"), ("days", "9999")],
)
def test_rejected_field_explains_what_it_accepts(
    admin: Browser, member: WalletInPage, field: str, value: str, services: Services
) -> None:
    open_account(admin, member)
    fill(admin, **({"professional_id": "lic_1", "level": "a", "days": "1"} | {field: value}))
    assert not admin.run("return document.querySelector('#verify').checkValidity()")
    admin.run("document.querySelector('#verify').noValidate = true")
    admin.follow("admin-verify")
    assert admin.see("admin-flash").get_attribute("data-field") == field
    assert admin.focused.get_attribute("id") == field
    assert admin.focused.get_attribute("aria-invalid") == "true"
    described = str(admin.focused.get_attribute("aria-describedby")).split()
    assert [admin.driver.find_element(By.ID, each).is_displayed() for each in described] == [True, True]
    assert roles_of(services).status(account_of(member)).verification_level == ""


def test_verification_is_revoked(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, member: WalletInPage, services: Services
) -> None:
    roles_of(services).verify(account_of(member), "lic_1", "licensed", 10)
    open_account(admin, member)
    admin.click("admin-withdraw")
    assert f"\nWithdraw the verification of {account_of(member)}.\n" in confirm(panel, "admin.withdraw", wallet)
    assert "no longer verified" in flash(admin)
    assert admin.see("admin-verification").get_attribute("data-state") == "none"
    assert not roles_of(services).status(account_of(member)).verification_level


def test_a_verification_that_has_run_out_is_shown_as_lapsed(
    browser: Browser, wallet: WalletInPage, member: WalletInPage, services: Services, pass_time: TimeMachine
) -> None:
    roles_of(services).verify(account_of(member), "lic_1", "licensed", 1)
    pass_time(86_401)
    roles_of(services).assign(account_of(wallet), "admin")
    browser.sign_in(wallet, next="/admin")
    assert "Lapsed" in row_of(browser, member).text
    open_account(browser, member)
    assert browser.see("admin-verification").get_attribute("data-state") == "lapsed"
    assert "Lapsed" in browser.see("admin-verification").text


# -- Sessions ----------------------------------------------------------------------------------------------------


def test_admin_revokes_one_session_of_an_account(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, member: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(member, FIREFOX)
    open_account(admin, member)
    assert len(admin.all("session-row")) == 2
    row = admin.driver.find_element(By.CSS_SELECTOR, f"[data-handle='{handle}'] [data-testid=admin-revoke]")
    admin.settled(row).click()
    panel.arrive("admin.revoke")
    assert "Firefox on Linux" in admin.see("confirm-facts").text
    assert member.address in admin.see("confirm-facts").text
    assert f"\nSign out [Firefox on Linux] ({handle[:9]}) of {account_of(member)}.\n" in panel.confirm(wallet)
    assert handle in flash(admin)
    assert not elsewhere.alive(member, handle)
    assert len(admin.all("session-row")) == 1


def test_admin_revokes_all_sessions_of_an_account(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, member: WalletInPage, elsewhere: Elsewhere
) -> None:
    elsewhere.sign_in(member, FIREFOX)
    open_account(admin, member)
    admin.click("admin-revoke-all")
    assert f"\nSign out all devices of {account_of(member)}.\n" in confirm(panel, "admin.revoke_account", wallet)
    assert flash(admin) == "All 2 sessions of this account have ended."
    assert not admin.all("session-row")


def test_admin_revokes_all_sessions_of_the_site(
    admin: Browser, panel: ConfirmPanel, wallet: WalletInPage, member: WalletInPage, elsewhere: Elsewhere
) -> None:
    handle = elsewhere.sign_in(member, FIREFOX)
    admin.click("admin-everybody")
    admin.click("everybody-confirm")
    assert "\nSign everybody out of this site.\n" in confirm(panel, "admin.revoke_everybody", wallet)
    admin.arrive_at("/signed-out")
    assert not elsewhere.alive(member, handle)


def test_site_activity_names_the_accounts(
    admin: Browser, wallet: WalletInPage, member: WalletInPage, services: Services
) -> None:
    roles_of(services).assign(account_of(member), "restricted", by=str(account_of(wallet)))
    admin.click("admin-activity")
    admin.arrive_at("/admin/activity")
    assert f"{member.address[:6]}…{member.address[-4:]}" in admin.text
    admin.driver.find_element(By.CSS_SELECTOR, "[data-testid=activity-filter][data-kind=refusals]").click()
    admin.see("activity-empty")


# -- Who may not come in --------------------------------------------------------------------------------------------


def missing(browser: Browser) -> tuple[str | None, str | None]:
    page = browser.see("unauthorized")
    return page.get_attribute("data-state"), page.get_attribute("data-missing")


def test_member_is_told_the_missing_role_and_stays_signed_in(
    browser: Browser, wallet: WalletInPage, services: Services
) -> None:
    browser.sign_in(wallet)
    browser.open("/admin")
    browser.arrive_at("/unauthorized")
    assert missing(browser) == ("missing", "admin")
    assert "Your account has the member role." in browser.text
    assert browser.see("unauthorized-account").text == str(account_of(wallet))
    browser.wait_for_session("active")
    # Once an administrator has given it, the same page leads on.
    roles_of(services).assign(account_of(wallet), "admin")
    browser.driver.refresh()
    assert missing(browser) == ("had", "admin")
    browser.click("unauthorized-next")
    browser.arrive_at("/admin")


def test_a_visitor_signs_in_first(browser: Browser) -> None:
    browser.open("/unauthorized", role="admin", next="/admin")
    assert missing(browser) == ("visitor", "admin")
    browser.click("unauthorized-sign-in")
    browser.arrive_at("/sign-in")
    assert "next=/admin" in browser.path


def test_test_network_is_named_as_the_obstacle(browser: Browser, make_wallet: MakeWallet) -> None:
    browser.sign_in(make_wallet(chain=11155111))
    browser.open("/unauthorized", permission="transact", next="/session")
    assert missing(browser) == ("missing", "transact")
    assert "You signed in on Sepolia, a test network" in browser.text
    browser.click("unauthorized-sign-in")
    browser.arrive_at("/sign-in")
    ConnectPanel(browser).wait_for("wallet_list")


def test_unverified_account_is_refused_before_signing(browser: Browser, wallet: WalletInPage) -> None:
    panel = ConnectPanel(browser)
    panel.open(session_type="professional")
    panel.choose(wallet)
    wallet.approve_connect()
    browser.arrive_at("/unauthorized")
    assert missing(browser) == ("visitor", "professional")
    browser.click("unauthorized-ordinary")
    browser.arrive_at("/sign-in")
    assert browser.shown("session-kind") is None


def test_verified_account_starts_a_session_of_that_type(
    browser: Browser, wallet: WalletInPage, services: Services
) -> None:
    roles_of(services).verify(account_of(wallet), "lic_1", "licensed", 10)
    browser.sign_in(wallet)
    browser.open("/unauthorized", session_type="professional", next="/session")
    assert missing(browser) == ("missing", "professional")
    browser.click("unauthorized-sign-in")
    panel = ConnectPanel(browser)
    panel.wait_for("wallet_list")
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
    assert "professional" in browser.see("session-type").text.lower()
    browser.open("/unauthorized", session_type="professional", next="/session")
    assert missing(browser) == ("had", "professional")


@pytest.mark.parametrize("query", [{}, {"role": "<b>king</b>"}, {"permission": "fly"}, {"session_type": "kiosk"}])
def test_unknown_requirement_is_not_repeated_on_the_page(browser: Browser, query: dict[str, str]) -> None:
    browser.open("/unauthorized", **query)
    assert missing(browser) == ("unknown", "")
    for value in query.values():
        assert value not in browser.text


# -- For everybody ---------------------------------------------------------------------------------------------------


def test_each_admin_page_passes_axe(
    admin: Browser,
    panel: ConfirmPanel,
    wallet: WalletInPage,
    member: WalletInPage,
    services: Services,
    check: Callable[[str], None],
) -> None:
    roles_of(services).verify(account_of(member), "lic_1", "licensed", 10)
    for path in (
        "/admin",
        "/admin?account=nobody",
        "/admin/everybody",
        "/admin/activity",
        "/admin/activity?kind=ends",
    ):
        admin.open(path)
        check(path)
    for each in (wallet, member):
        open_account(admin, each)
        check(f"the account of {'the administrator' if each is wallet else 'a member'}")
    admin.click("admin-withdraw")
    panel.arrive("admin.withdraw")
    check("confirm")
    panel.confirm(wallet)
    flash(admin)
    check("done")
    admin.run("document.querySelector('#verify').noValidate = true")
    admin.follow("admin-verify")
    check("a field that is not taken")


UNAUTHORIZED = (
    {"role": "admin"},
    {"permission": "transact"},
    {"permission": "test-only"},
    {"permission": "write:therapy_notes"},
    {"session_type": "professional"},
    {"session_type": "anonymous"},
    {},
)


def test_unauthorized_page_passes_axe(
    browser: Browser, make_wallet: MakeWallet, check: Callable[[str], None]
) -> None:
    for query in UNAUTHORIZED:
        browser.open("/unauthorized", **query)
        check(f"visitor, {query}")
    browser.sign_in(make_wallet(chain=11155111))
    for query in UNAUTHORIZED:
        browser.open("/unauthorized", **query, next="/session")
        check(f"testnet, {query}")


def test_professional_sign_in_page_passes_axe(
    browser: Browser, wallet: WalletInPage, check: Callable[[str], None], end: Callable[[str], None]
) -> None:
    panel = ConnectPanel(browser)
    end("limit")
    panel.open(session_type="professional", reason="limit")
    panel.wait_for("wallet_list")
    check("professional")
    browser.open("/signed-out")
    check("limit")
    browser.sign_in(wallet)
    panel.open(session_type="professional")
    panel.wait_for("already_signed_in")
    check("professional, signed in")
