"""What the sign-in page offers first: wallets found, the trial wallet, and only then installing one."""

from __future__ import annotations

import pytest
from flask import Flask
from selenium.webdriver.common.keys import Keys

from .pages import Browser, ConnectPanel
from .panel_states import serve_states
from .trial_wallet import Trial
from .wallet_in_page import MakeWallet, WalletInPage

# The home page of an app that invites visitors to try it.
INVITATION = """
    const link = document.createElement("a");
    link.href = arguments[0];
    link.dataset.testid = "invitation";
    link.textContent = "Try it";
    document.querySelector("main").prepend(link);
"""
TRY = "/sign-in?try=1"


def offers(browser: Browser) -> list[str]:
    """Return what can be chosen, from top to bottom."""
    names = ("wallet-option", "try-without-wallet", "install")
    shown = {name: element.rect["y"] for name in names if (element := browser.shown(name))}
    return sorted(shown, key=lambda name: shown[name])


# -- The order -----------------------------------------------------------------------------------------------


def test_trial_wallet_comes_first_where_no_wallet_is_installed(browser: Browser, panel: ConnectPanel) -> None:
    panel.open()
    panel.wait_for("no_wallet")
    assert offers(browser) == ["try-without-wallet", "install"]
    assert browser.see("install").get_attribute("open") is not None
    assert browser.see("reload").get_attribute("class") == "button", "not what a newcomer can do first"


def test_installed_wallets_come_before_the_trial_wallet(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    panel.open()
    panel.row(wallet)
    browser.see("try-without-wallet")
    assert offers(browser) == ["wallet-option", "try-without-wallet"]


def test_returning_visitor_is_offered_their_trial_wallet_first(browser: Browser, trial: Trial) -> None:
    """This browser has a wallet, so the page doesn't say that it found none."""
    trial.enter()
    browser.follow("sign-out")
    trial.panel.open()
    trial.panel.wait_for("wallet_list")
    assert trial.offer.startswith("Continue with your trial wallet")
    assert offers(browser) == ["try-without-wallet", "install"]
    assert browser.see("install").get_attribute("open") is None
    assert "We found no wallet" not in browser.text
    assert trial.panel.spoken == "1 wallet found."


def test_wallets_stay_first_on_a_page_that_shows_an_error(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, app: Flask
) -> None:
    serve_states(app)
    browser.open("/states/bad_signature")
    panel.row(wallet)
    browser.see("try-without-wallet")
    assert offers(browser) == ["wallet-option", "try-without-wallet"]


# -- One click -----------------------------------------------------------------------------------------------


def test_one_click_on_the_home_page_starts_a_trial_session(browser: Browser, trial: Trial) -> None:
    browser.open("/")
    browser.run(INVITATION, TRY + "&next=/activity")
    browser.click("invitation")
    browser.arrive_at("/activity")
    assert browser.session_state == "active"
    assert trial.account


def test_trial_link_typed_or_sent_waits_for_a_click(browser: Browser, trial: Trial) -> None:
    """A link on another site must not make a wallet or a session by itself."""
    browser.open(TRY)
    browser.wait(lambda: browser.focused.get_attribute("data-testid") == "try-without-wallet", "no focus")
    assert trial.half is None
    browser.press(Keys.ENTER)
    browser.arrive_at("/session")


def test_trial_link_does_not_start_again_after_going_back(browser: Browser, trial: Trial) -> None:
    browser.open("/")
    browser.run(INVITATION, TRY)
    browser.click("invitation")
    browser.arrive_at("/session")
    account = trial.account
    browser.follow("sign-out")
    browser.driver.execute_script("history.go(-2)")
    browser.arrive_at("/sign-in")
    trial.panel.wait_for("wallet_list")
    browser.driver.refresh()
    trial.panel.wait_for("wallet_list")
    assert (browser.path, trial.account) == (TRY, account)


def test_trial_link_of_a_signed_in_user_changes_nothing(browser: Browser, wallet: WalletInPage, trial: Trial) -> None:
    browser.enter(wallet)
    browser.run(INVITATION, TRY)
    browser.click("invitation")
    trial.panel.wait_for("already_signed_in")
    assert trial.half is None


# -- Words and names -----------------------------------------------------------------------------------------


def test_number_of_wallets_found_is_spoken(
    panel: ConnectPanel, make_wallet: MakeWallet, wallet: WalletInPage
) -> None:
    make_wallet("Second Wallet")
    panel.open()
    panel.row(wallet)
    panel.browser.wait(lambda: panel.spoken == "2 wallets found.", lambda: panel.spoken)


def test_trial_flow_names_no_window(browser: Browser, trial: Trial) -> None:
    """A trial wallet has none: while it is made, the page says what is going on."""
    spoken = """
        new MutationObserver(() => {
          const panel = document.getElementById("connect");
          if (panel?.dataset.state !== "connecting") return;
          sessionStorage.spoken ??= panel.querySelector("[role=status]").textContent;
        }).observe(document, { attributes: true, subtree: true, childList: true });
    """
    with browser.before_scripts(spoken):
        trial.choose()
    assert browser.run("return sessionStorage.spoken") == "Getting your trial wallet ready…"
    assert "window" not in browser.see("chosen-wallet").text


@pytest.mark.parametrize("name", ["MetaMask", "محفظة الإنترنت", "W" * 500], ids=["plain", "right to left", "long"])
def test_last_used_never_breaks_a_name_in_a_word(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet, name: str
) -> None:
    """At 320 px the badge goes below the name; a name without spaces is cut or wrapped inside its row."""
    wallet = make_wallet(name)
    browser.sign_in(wallet)
    browser.look(width=320, height=640)
    panel.open(again="1")
    row = panel.row(wallet)
    browser.see("wallet-last")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.run("return arguments[0].scrollWidth <= arguments[0].clientWidth", row)
    if name == "MetaMask":
        label = row.find_element("class name", "row__name")
        assert browser.run("return arguments[0].getClientRects().length", label) == 1


def test_accounts_to_choose_from_are_whole_and_checksummed(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet
) -> None:
    wallet = make_wallet(accounts=3)
    panel.connect(wallet, until="choose_account")
    rows = [row.text.split("\n") for row in browser.all("account-option")]
    assert [row[0] for row in rows] == [key.address for key in wallet.keys]
    assert [row[1] for row in rows if len(row) > 1 and row[1] != "→"] == ["Active in your wallet"]
    browser.all("account-option")[1].click()
    panel.wait_for("ready_to_sign")
    address = wallet.keys[1].address
    assert f"{address[:6]}…{address[-4:]}" in browser.see("chosen-wallet").text


def test_link_page_lists_the_wallet_in_use_last(
    browser: Browser, make_wallet: MakeWallet, panel: ConnectPanel
) -> None:
    own = make_wallet("Own Wallet")
    other = make_wallet("Other Wallet")
    browser.sign_in(own)
    browser.open("/session/wallets/link")
    panel.row(other)
    browser.wait(lambda: len(panel.rows) == 2)
    assert panel.wallets == ["Other Wallet", "Own Wallet"]
    assert browser.see("wallet-last").text == "In use"


# -- Errors and accounts -------------------------------------------------------------------------------------


def test_errors_stand_in_their_step_above_its_action(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    """Also the technical details, and never more than one error at a time."""
    step = "return arguments[0].closest('[data-step]').dataset.step"
    panel.open()
    panel.choose(wallet)
    wallet.fail(-32603, "technical")
    panel.wait_for("connect_failed")
    for part in ("error", "technical"):
        assert browser.run(step, browser.see(part)) == "connect"
    panel.retry()
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.fail(-32603, "technical")
    panel.wait_for("sign_failed")
    for part in ("error", "technical"):
        assert browser.run(step, browser.see(part)) == "sign"
        assert browser.see(part).rect["y"] < browser.see("sign-button").rect["y"]
    assert len([each for each in browser.all("error") if each.is_displayed()]) == 1


@pytest.mark.parametrize("scripts", [True, False], ids=["script", "no script"])
def test_header_menu_switches_the_account(browser: Browser, wallet: WalletInPage, scripts: bool) -> None:
    browser.enter(wallet)
    browser.scripts(on=scripts)
    browser.open("/session")
    browser.see("account-menu").find_element("tag name", "summary").click()
    browser.follow("switch-account")
    browser.scripts(on=True)
    assert browser.path == "/sign-in?again=1"
    if scripts:
        ConnectPanel(browser).row(wallet)


def test_header_menu_closes_on_escape_and_on_a_press_elsewhere(browser: Browser, wallet: WalletInPage) -> None:
    browser.enter(wallet)
    menu = browser.see("account-menu")
    summary = menu.find_element("tag name", "summary")
    summary.click()
    assert browser.see("switch-account")
    browser.press(Keys.TAB, Keys.ESCAPE)
    browser.see_no("switch-account")
    assert browser.focused == summary
    summary.click()
    assert browser.see("switch-account")
    browser.driver.find_element("tag name", "h1").click()
    browser.see_no("switch-account")
    summary.click()
    browser.press(Keys.TAB, Keys.TAB, Keys.TAB)
    browser.see_no("switch-account")
