"""axe-core on every page and state, in light and dark, on a phone and on a desk: no violation anywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from sessions_core import errors, public
from sessions_core.web.services import Services

from ..part_services import roles_of
from ..time_machine import TimeMachine
from .accessibility import open_without_script
from .conftest import Hold, account_of
from .pages import Browser, ConnectPanel
from .panel_states import STATES, serve_states
from .session_page import IDLE, KEEP_ALIVE, VALIDATE, warn
from .wallet_in_page import WalletInPage

REASONS = (
    "signed_out", "idle", "absolute", "revoked", "everywhere", "wallet_revoked", "wallet_unlinked",
    "replaced", "limit", "share_gone", "wallet_deleted", "unknown",
)  # fmt: skip


def refusals() -> dict[int, type[errors.SessionsError]]:
    """One refusal for each status that has a page, and those with words of their own."""
    found: dict[Any, type[errors.SessionsError]] = {}
    waiting = [errors.SessionsError]
    while waiting:
        each = waiting.pop()
        waiting += each.__subclasses__()
        if each.status != 401:
            found.setdefault(each.status, each)
    own_words = (errors.CsrfFailed, errors.CrossSiteRequest, errors.HostUntrusted, errors.ConfirmationMalformed)
    for each in (*own_words, errors.SignOutIncomplete):
        found[each.code] = each
    return found


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    """The application, with an address for each state of the panel and for each refusal."""
    app = make_app()
    serve_states(app)

    @app.get("/refusals/<name>")
    @public
    def refuse(name: str) -> str:
        raise getattr(errors, name)(retry_after=5)

    return app


def test_axe_finds_an_unnamed_button(browser: Browser, check: Callable[[str], None]) -> None:
    browser.open("/")
    browser.run("document.querySelector('h1').append(document.createElement('button'))")
    with pytest.raises(AssertionError, match="button-name"):
        check("/")


def test_axe_finds_low_contrast_in_the_dark_theme(browser: Browser, check: Callable[[str], None]) -> None:
    browser.open("/")
    browser.run(
        "const faint = document.createElement('p'); faint.textContent = 'faint'; faint.style.color = '#222';"
        "document.querySelector('main').append(faint)"
    )
    with pytest.raises(AssertionError, match="1280 dark: color-contrast") as found:
        check("/")
    assert "light" not in str(found.value)


@pytest.mark.parametrize("state", STATES)
def test_panel_passes_axe_in_each_state(
    browser: Browser, wallet: WalletInPage, check: Callable[[str], None], state: str
) -> None:
    browser.open(f"/states/{state}")
    panel = ConnectPanel(browser)
    browser.wait(lambda: browser.run("return document.querySelectorAll('[data-wallet-id]').length"))
    panel.wait_for(state)
    check(state)


def test_panel_without_a_wallet_passes_axe(browser: Browser, check: Callable[[str], None]) -> None:
    panel = ConnectPanel(browser)
    panel.open()
    panel.wait_for("no_wallet")
    check("no_wallet")
    browser.run(
        "for (const each of document.querySelectorAll('[data-part=blocked]')) each.hidden = false;"
        "for (const each of document.querySelectorAll('[data-part=unblocked]')) each.hidden = true"
    )
    assert browser.see("blocked")
    check("no_wallet, kept out")
    browser.as_a_phone()
    panel.open()
    panel.wait_for("in_app_browser")
    check("in_app_browser")


def test_phone_page_passes_axe(browser: Browser, check: Callable[[str], None]) -> None:
    browser.open("/sign-in/phone")
    check("phone")


def test_connecting_panel_passes_axe(
    browser: Browser,
    wallet: WalletInPage,
    make_wallet: Callable[..., WalletInPage],
    check: Callable[[str], None],
    end: Callable[[str], None],
) -> None:
    end("idle")
    make_wallet("Test Wallet", icon="")
    make_wallet("محفظة " + "W" * 60, rdns="org.example.other")
    panel = ConnectPanel(browser)
    panel.open(reason="idle")
    panel.row(wallet)
    wallet.announce_imitation()
    browser.see("imitation")
    check("wallet_list")
    panel.choose(wallet)
    panel.wait_for("connecting")
    check("connecting")
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    check("ready_to_sign")
    panel.sign()
    wallet.fail(-32002)
    panel.wait_for("request_pending")
    check("request_pending while signing")
    panel.sign()
    wallet.reject()
    panel.wait_for("rejected_sign")
    check("rejected_sign")
    panel.sign()
    wallet.fail(-32603, "technical")
    panel.wait_for("sign_failed")
    check("sign_failed")
    panel.sign()
    wallet.next_request("personal_sign")
    check("signing")
    wallet.switch_chain(5)
    panel.wait_for("wrong_network")
    check("wrong_network")
    wallet.switch_chain(10)
    panel.wait_for("ready_to_sign")
    wallet.switch_chain(1)
    browser.wait(lambda: "so this is a new message" in browser.text)
    check("ready_to_sign after a change of network")
    wallet.switch_account(keep=True)
    panel.wait_for("account_switched")
    check("account_switched")


def test_the_panel_with_several_accounts(
    browser: Browser, make_wallet: Callable[..., WalletInPage], check: Callable[[str], None]
) -> None:
    wallet = make_wallet(accounts=3)
    panel = ConnectPanel(browser)
    panel.connect(wallet, until="choose_account")
    check("choose_account")


@pytest.mark.parametrize("path", ["/sign-in", "/", "/sign-out", "/signed-out"])
def test_pages_without_script_pass_axe(browser: Browser, check: Callable[[str], None], path: str) -> None:
    open_without_script(browser, path)
    check(path)


@pytest.mark.parametrize("reason", REASONS)
def test_sign_out_page_passes_axe_for_each_reason(
    browser: Browser, check: Callable[[str], None], end: Callable[[str], None], reason: str
) -> None:
    end(reason)
    browser.open("/signed-out", next="/session")
    assert browser.see("signed-out").get_attribute("data-reason") == reason
    check(reason)


@pytest.mark.parametrize("refusal", refusals().values(), ids=lambda each: each.__name__)
def test_error_pages_pass_axe(
    browser: Browser, check: Callable[[str], None], refusal: type[errors.SessionsError]
) -> None:
    browser.open(f"/refusals/{refusal.__name__}")
    check(refusal.code)


def test_front_page_passes_axe(browser: Browser, check: Callable[[str], None]) -> None:
    browser.open("/")
    check("/")


@pytest.mark.parametrize("network", [1, 11155111], ids=["mainnet", "testnet"])
def test_session_pages_pass_axe(
    browser: Browser, make_wallet: Callable[..., WalletInPage], check: Callable[[str], None], network: int
) -> None:
    browser.sign_in(make_wallet(chain=network))
    for path in ("/session", "/", "/sign-out", "/sign-in", "/nowhere"):
        browser.open(path)
        browser.wait_for_session("active")
        check(path)


def test_page_of_a_professional_session_passes_axe(
    browser: Browser, wallet: WalletInPage, app: Flask, services: Services, check: Callable[[str], None]
) -> None:
    with app.app_context():
        roles_of(services).assign(account_of(wallet), "admin")
        roles_of(services).verify(account_of(wallet), "lic_1234", "licensed", 30)
    browser.sign_in(wallet)
    browser.see("professional-offer")
    check("verified")
    browser.sign_in(wallet, again="1", session_type="professional")
    browser.see("session-professional")
    check("professional")


def test_trial_wallet_pages_pass_axe(browser: Browser, check: Callable[[str], None]) -> None:
    panel = ConnectPanel(browser)
    panel.open()
    browser.click("try-without-wallet")
    panel.wait_for("ready_to_sign")
    check("ready_to_sign with a trial wallet")
    panel.sign()
    browser.arrive_at("/session")
    browser.follow("sign-out")
    browser.see("half-stays")
    check("/signed-out with a trial wallet")
    panel.open()
    browser.click("try-without-wallet")
    panel.wait_for("ready_to_sign")
    panel.sign()
    browser.arrive_at("/session")
    browser.see("pregenerated")
    check("/session with a trial wallet")
    browser.open("/session/wallet/delete")
    check("delete")
    browser.see("delete-word").send_keys("no")
    browser.follow("delete-confirm")
    browser.see("delete-wrong")
    check("delete, with another word")
    browser.open("/session/wallet/export")
    check("export")
    browser.click("export-show")
    browser.see("private-key")
    check("the key")
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    browser.see("export-away")
    check("the key, hidden again")
    browser.module("share-store", "module.account().then(module.remove)")
    browser.arrive_at("/signed-out")


def test_a_session_without_script(browser: Browser, wallet: WalletInPage, check: Callable[[str], None]) -> None:
    browser.sign_in(wallet)
    open_without_script(browser, "/session")
    check("/session without script")


def test_the_warning_in_each_state(
    browser: Browser, wallet: WalletInPage, pass_time: TimeMachine, hold: Hold, check: Callable[[str], None]
) -> None:
    browser.sign_in(wallet)
    pass_time(IDLE - 290)
    browser.look_again()
    browser.wait(lambda: browser.see("idle-deadline").get_attribute("data-urgent") is not None)
    check("the last five minutes")
    warn_in(browser, pass_time, 290 - 100)
    check("warning")
    browser.offline()
    browser.click("timeout-stay")
    state(browser, "error")
    check("error")
    browser.online()
    hold(*KEEP_ALIVE)
    browser.click("timeout-stay")
    state(browser, "extending")
    check("extending")
    hold.release()
    browser.see_no("timeout-dialog")
    check("extended")
    browser.offline()
    browser.run("window.dispatchEvent(new Event('offline'))")
    browser.wait_for_session("offline")
    check("offline")
    browser.online()


def warn_in(browser: Browser, pass_time: TimeMachine, seconds: float) -> None:
    pass_time(seconds)
    browser.look_again()
    browser.see("timeout-dialog")


def state(browser: Browser, name: str) -> None:
    browser.wait(lambda: browser.see("timeout-dialog").get_attribute("data-state") == name, f"never {name}")


def test_the_cover_of_a_page_that_comes_back(
    browser: Browser, wallet: WalletInPage, hold: Hold, check: Callable[[str], None]
) -> None:
    browser.sign_in(wallet)
    hold(*VALIDATE)
    browser.run("window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    browser.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    browser.wait(lambda: "Checking your session" in browser.text)
    check("checking")
    hold.release()
    browser.wait_for_session("active")
    browser.see_no("cover")
    browser.offline()
    browser.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    browser.see("cover-recheck")
    check("unreachable")
    browser.online()


class TestTheAbsoluteEnd:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_ABSOLUTE_SECONDS": IDLE}

    def test_absolute_warning_passes_axe(
        self, browser: Browser, wallet: WalletInPage, pass_time: TimeMachine, check: Callable[[str], None]
    ) -> None:
        browser.sign_in(wallet)
        warn(browser, pass_time, left=250)
        state(browser, "absolute")
        check("absolute")
