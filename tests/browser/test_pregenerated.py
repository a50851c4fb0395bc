"""Without a wallet: make one, sign in, come back, confirm, export, delete; and every way in which its half can go."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account as Signer
from flask import Flask
from redis import Redis

from sessions_core import events
from sessions_core.parts.development_redis import embedded
from sessions_core.parts.trial_wallets import TrialWallets
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services

from ..part_services import linked_accounts_of
from ..time_machine import TimeMachine
from .conftest import account_of
from .pages import Browser, ConfirmPanel
from .trial_wallet import Trial
from .wallet_in_page import WalletInPage

OTHER = "eip155:11155111:0x52908400098527886E0F7030069857D2E4169EE7"


# -- Trying it -------------------------------------------------------------------------------------------------------


def test_trial_wallet_sign_in_shows_account_and_permissions(browser: Browser, trial: Trial) -> None:
    """A visitor without a wallet signs in; the page shows account, network and permissions."""
    trial.panel.open()
    assert trial.offer.startswith("Try it without a wallet\nWe’ll create a trial wallet in this browser.")
    assert trial.half is None, "opening the page makes nothing"
    browser.click("try-without-wallet")
    trial.panel.wait_for("ready_to_sign")
    address = parse(trial.account).address
    assert address in trial.panel.preview
    assert browser.see("chosen-wallet").text.endswith(f"Trial wallet\n{address[:6]}…{address[-4:]} · Sepolia")
    trial.panel.sign()
    browser.arrive_at("/session")
    assert browser.see("session-account").text == f"{address[:6]}…{address[-4:]}"
    assert browser.see("session-network").text == "Sepolia\nTestnet: no real value"
    allowed = [row.text for row in browser.all("session-permission") if row.get_attribute("data-allowed") == "true"]
    assert any("test-only" in row for row in allowed)
    assert not any("transact" in row for row in allowed)
    assert browser.see("pregenerated").text.startswith("Your trial wallet")
    trial.wait_for_watch("here")


def test_key_share_survives_a_reload_outside_readable_storage(browser: Browser, trial: Trial) -> None:
    """No cookie, local storage, session storage or page text holds the share or the account."""
    trial.enter()
    half = trial.half
    assert half
    browser.open("/session")
    assert trial.half == half
    kept = browser.run("return JSON.stringify({...localStorage, ...sessionStorage}) + document.cookie")
    assert half["share"] not in kept + browser.run("return document.documentElement.outerHTML")
    assert half["account"] not in kept


def test_key_share_is_encrypted_with_a_non_extractable_key(browser: Browser, trial: Trial) -> None:
    """No script can export the key that encrypts the share in IndexedDB."""
    trial.enter()
    half = trial.half
    assert half
    found = browser.driver.execute_async_script(
        """
        const done = arguments[arguments.length - 1];
        const asked = indexedDB.open("wallet-share");
        asked.onsuccess = () => {
          const database = asked.result;
          const names = Array.from(database.objectStoreNames);
          const all = database.transaction(names[0]).objectStore(names[0]).getAll();
          all.onsuccess = async () => {
            database.close();
            const [kept] = all.result;
            const refusals = await Promise.all(["raw", "jwk"].map((format) =>
              crypto.subtle.exportKey(format, kept.key).then(() => "exported", (error) => error.name)));
            done({ names, rows: all.result.length, fields: Object.keys(kept).sort(), refusals,
                   extractable: kept.key.extractable, sealed: Array.from(new Uint8Array(kept.sealed)) });
          };
        };
        """
    )
    assert (found["names"], found["rows"]) == (["kept"], 1)
    assert found["fields"] == ["account", "iv", "key", "sealed"]
    assert found["extractable"] is False
    assert found["refusals"] == ["InvalidAccessError", "InvalidAccessError"]
    assert bytes(found["sealed"])[:32] != bytes.fromhex(half["share"])


def test_trial_wallet_is_offered_below_real_wallets(browser: Browser, trial: Trial, wallet: WalletInPage) -> None:
    trial.panel.open()
    trial.panel.wait_for("wallet_list")
    assert trial.panel.row(wallet).location["y"] < browser.see("try-without-wallet").location["y"]


def test_phone_without_a_wallet_is_offered_a_trial_wallet(browser: Browser, trial: Trial) -> None:
    browser.as_a_phone()
    trial.panel.open()
    trial.panel.wait_for("in_app_browser")
    browser.click("try-without-wallet")
    trial.panel.wait_for("ready_to_sign")


def test_cancelling_and_retrying_makes_one_trial_wallet(browser: Browser, trial: Trial, redis: Redis) -> None:
    trial.choose()
    half = trial.half
    trial.panel.cancel()
    browser.click("try-without-wallet")
    trial.panel.wait_for("ready_to_sign")
    assert trial.half == half
    assert len(redis.keys("*:share")) == 1


# -- Signing out, and coming back ------------------------------------------------------------------------------------


def test_after_signing_out_the_same_wallet_is_still_there(browser: Browser, trial: Trial) -> None:
    trial.enter()
    half = trial.half
    assert half
    browser.run("sessionStorage.setItem('left', 'behind'); localStorage.setItem('left', 'behind')")
    browser.follow("sign-out")
    browser.arrive_at("/signed-out")
    kept = "return Object.keys({ ...sessionStorage, ...localStorage })"
    browser.wait(lambda: browser.run(kept) == ["left"], lambda: f"not the application's alone: {browser.run(kept)}")
    assert browser.run("return document.cookie") == ""
    assert trial.half == half
    trial.panel.open()
    address = parse(half["account"]).address
    assert trial.offer.startswith(f"Continue with your trial wallet\nIn this browser: {address[:6]}…{address[-4:]}")
    trial.enter()
    assert browser.see("session-account").text == f"{address[:6]}…{address[-4:]}"


def test_signing_in_with_a_real_wallet_keeps_the_key_share(
    browser: Browser, trial: Trial, wallet: WalletInPage
) -> None:
    trial.enter()
    half = trial.half
    browser.sign_in(wallet, again="1")
    assert not browser.all("pregenerated")
    browser.follow("sign-out")
    assert trial.half == half


# -- Confirming, exporting, deleting ---------------------------------------------------------------------------------


def test_step_up_signs_with_both_key_shares(browser: Browser, trial: Trial) -> None:
    trial.enter()
    browser.follow("extend")
    ConfirmPanel(browser).arrive("session.extend")
    trial.confirm()
    assert browser.see("message").get_attribute("data-message") == "extended"
    trial.wait_for_watch("here")


def test_exported_key_matches_the_account_and_is_never_sent(
    browser: Browser, trial: Trial, happened: list[events.Event]
) -> None:
    """The page assembles the key in the browser, shows it on request and hides it again."""
    trial.enter()
    browser.follow("wallet-export")
    browser.see("export-show")
    assert not browser.all("private-key")[0].is_displayed()
    assert browser.all("private-key")[0].get_attribute("textContent") == ""
    assert browser.all("share-export")[0].get_attribute("data-share") is None
    page = str(browser.run("return document.documentElement.outerHTML"))
    browser.click("export-show")
    key = browser.see("private-key").text
    assert Signer.from_key(key).address == parse(trial.account).address
    assert key.removeprefix("0x") not in page
    assert browser.see("copy-key")
    browser.click("export-hide")
    browser.see("export-show")
    assert key not in str(browser.run("return document.documentElement.outerHTML"))
    assert [event.name for event in happened].count("wallet.exported") == 1
    browser.open("/activity")
    assert "private key was shown in a browser" in browser.text


def test_leaving_the_page_takes_the_key_out_of_it(browser: Browser, trial: Trial) -> None:
    trial.enter()
    browser.follow("wallet-export")
    browser.click("export-show")
    key = browser.see("private-key").text
    browser.run("window.dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert key not in str(browser.run("return document.documentElement.outerHTML"))


def test_exporting_later_takes_a_signature(browser: Browser, trial: Trial, pass_time: TimeMachine) -> None:
    trial.enter()
    pass_time(301)
    browser.follow("wallet-export")
    panel = ConfirmPanel(browser)
    panel.arrive("wallet.export")
    assert panel.sentence == "Show the private key of this wallet in this browser."
    trial.confirm()
    browser.see("export-show")


def delete(browser: Browser, trial: Trial) -> None:
    browser.follow("wallet-delete")
    browser.see("delete-word").send_keys("delete")
    browser.follow("delete-confirm")
    panel = ConfirmPanel(browser)
    panel.arrive("wallet.delete")
    assert panel.sentence == "Delete this wallet: its key is lost for good."
    trial.confirm()
    browser.arrive_at("/signed-out")


def test_deleting_removes_both_key_shares(browser: Browser, trial: Trial, redis: Redis) -> None:
    trial.enter()
    delete(browser, trial)
    assert browser.see("signed-out").get_attribute("data-reason") == "wallet_deleted"
    assert "Your trial wallet is deleted" in browser.text
    browser.wait(lambda: trial.half is None, "its half is still here")
    assert redis.keys("*:share") == []
    cookies = {cookie["name"] for cookie in browser.cdp("Network.getCookies")["cookies"]}
    assert cookies == {"__Host-ended", "__Host-device"}
    trial.panel.open()
    assert trial.offer.startswith("Try it without a wallet")


def test_deleting_the_wallet_signs_out_other_tabs(browser: Browser, trial: Trial) -> None:
    trial.enter()
    other = browser.new_tab()
    browser.open("/sessions")
    trial.wait_for_watch("here")
    browser.switch_to(browser.home)
    delete(browser, trial)
    browser.switch_to(other)
    browser.arrive_at("/signed-out")
    assert browser.see("signed-out").get_attribute("data-reason") == "wallet_deleted"


# -- The half is gone ------------------------------------------------------------------------------------------------


def test_session_ends_when_the_key_share_is_cleared(
    browser: Browser, trial: Trial, services: Services, happened: list[events.Event]
) -> None:
    """The sign-out page says that the wallet is no longer in this browser."""
    trial.enter()
    trial.wait_for_watch("here")
    account = trial.account
    trial.lose()
    browser.look_again()
    browser.arrive_at("/signed-out")
    assert browser.see("signed-out").get_attribute("data-reason") == "share_gone"
    assert "Your trial wallet is no longer in this browser" in browser.text
    assert services.repository.living(account) == []
    assert [event.reason for event in happened if isinstance(event, events.SessionEnded)] == ["share_gone"]


def test_removing_the_key_share_signs_out_every_tab(browser: Browser, trial: Trial, services: Services) -> None:
    """The site itself removes the share in one tab."""
    trial.enter()
    account = trial.account
    other = browser.new_tab()
    browser.open("/activity")
    trial.wait_for_watch("here")
    browser.module("share-store", "module.remove(given[0])", account)
    for tab in (other, browser.home):
        browser.switch_to(tab)
        browser.arrive_at("/signed-out")
    assert services.repository.living(account) == []


def test_opening_a_page_without_the_key_share_ends_the_session(browser: Browser, trial: Trial) -> None:
    trial.enter()
    browser.open("/nowhere")
    trial.lose()
    browser.open("/session")
    browser.arrive_at("/signed-out")
    assert browser.see("signed-out").get_attribute("data-reason") == "share_gone"


def test_a_storage_that_can_t_be_read_ends_nothing(browser: Browser, trial: Trial) -> None:
    trial.enter()
    broken = "IDBFactory.prototype.open = () => { throw new DOMException('off', 'SecurityError') }"
    with browser.before_scripts(broken):
        browser.open("/session")
        trial.wait_for_watch("unknown")
        browser.open("/session/wallet/export")
        browser.click("export-show")
        assert "could not read" in browser.see("error").text
    browser.open("/session")
    trial.wait_for_watch("here")


@pytest.fixture
def forgotten(browser: Browser, trial: Trial, services: Services, app: Flask) -> str:
    """The account of a wallet that the server has forgotten, as the page has just found out."""
    trial.enter()
    account = trial.account
    browser.follow("sign-out")
    with app.app_context():
        services.part(TrialWallets).key_shares.forget(parse(account))
    trial.choose()
    trial.panel.sign()
    trial.panel.wait_for("wallet_gone")
    return account


def test_a_wallet_that_the_server_has_forgotten_can_be_replaced(
    browser: Browser, trial: Trial, forgotten: str
) -> None:
    assert trial.account == forgotten, "nothing is thrown away unasked"
    browser.click("wallet-renew")
    trial.panel.wait_for("ready_to_sign")
    assert trial.account != forgotten
    trial.panel.sign()
    browser.arrive_at("/session")


def test_discarding_a_dead_trial_wallet_spares_a_newer_one(browser: Browser, trial: Trial, forgotten: str) -> None:
    """Another tab made the newer trial wallet in the meantime."""
    newer = {"account": OTHER, "share": "ab" * 32}
    replace = "module.remove(given[0]).then(() => module.keep(given[1], given[2]))"
    browser.module("share-store", replace, forgotten, *newer.values())
    browser.click("wallet-renew")
    trial.panel.wait_for("ready_to_sign")
    assert trial.half == newer


def test_the_page_names_no_window_of_a_wallet_that_has_none(browser: Browser, trial: Trial) -> None:
    trial.choose()
    assert "You won’t see it again, so read it now." in browser.text
    assert "Your wallet will show" not in browser.text
    assert browser.see("sign-button").text == "Sign this message"


def test_two_tabs_creating_a_trial_wallet_share_the_first_one(browser: Browser, trial: Trial) -> None:
    """Both attempts continue with the wallet that was stored first."""
    trial.panel.open()
    trial.panel.wait_for("no_wallet")
    site = "{ walletsUrl: '/api/auth/wallets', csrf: document.querySelector('[name=csrf_token]').value }"
    made = browser.module(
        "pregenerated", f"Promise.all([module.connect({{}}, {site}), module.connect({{}}, {site})])"
    )
    address = trial.account.rpartition(":")[2]
    assert made == [[address], [address]]


# -- Off, and without Redis ------------------------------------------------------------------------------------------


class TestOff:
    @pytest.fixture
    def overrides(self, overrides: dict[str, Any]) -> dict[str, Any]:
        return overrides | {"SESSIONS_CORE_PREGENERATED_WALLETS": False}

    def test_disabled_trial_wallet_is_neither_offered_nor_made(self, browser: Browser, trial: Trial) -> None:
        trial.panel.open()
        trial.panel.wait_for("no_wallet")
        assert not browser.all("try-without-wallet")
        refused = browser.driver.execute_async_script(
            "const done = arguments[0]; import('/sessions_core/static/lib/http.js').then(({ request }) =>"
            "request('/api/auth/wallets', { method: 'POST', json: {},"
            " csrf: document.querySelector('[name=csrf_token]').value }))"
            ".then(() => done('made'), (error) => done([error.status, error.code]))"
        )
        assert refused == [404, "not_found"]


def test_without_redis_each_step_says_so_and_goes_on_afterwards(
    browser: Browser, make_app: Callable[..., Flask], overrides: dict[str, Any], tmp_path: Path, site: Any
) -> None:
    server = embedded.start(tmp_path / "redis")
    site.app = make_app(SESSIONS_CORE_REDIS_URL=server.url)
    trial = Trial(browser)
    trial.panel.open()
    browser.see("try-without-wallet")
    server.stop()
    browser.click("try-without-wallet")
    trial.panel.wait_for("server_unreachable")
    assert trial.half is None
    again = embedded.start(tmp_path / "redis")
    site.app = make_app(SESSIONS_CORE_REDIS_URL=again.url)
    trial.choose()
    half = trial.half
    again.stop()
    trial.panel.sign()
    trial.panel.wait_for("server_unreachable")
    assert trial.half == half
    last = embedded.start(tmp_path / "redis")
    site.app = make_app(SESSIONS_CORE_REDIS_URL=last.url)
    trial.panel.retry()
    trial.panel.wait_for("ready_to_sign")
    trial.panel.sign()
    browser.arrive_at("/session")
    last.stop()
    site.app = None


# -- Claiming it -----------------------------------------------------------------------------------------------------


def test_own_wallet_claims_the_trial_wallet_of_the_same_user(
    browser: Browser, trial: Trial, wallet: WalletInPage, services: Services
) -> None:
    """Signing in with the own wallet later leads to the same user id and both accounts."""
    trial.enter()
    tried = parse(trial.account)
    browser.follow("wallet-claim")
    trial.panel.wait_for("wallet_list")
    assert browser.all("try-without-wallet") == [], "nobody claims a wallet with one that lives in the same browser"
    trial.panel.choose(wallet)
    wallet.approve_connect()
    trial.panel.wait_for("ready_to_sign")
    trial.panel.sign()
    assert str(tried) in wallet.approve_sign()
    ConfirmPanel(browser).arrive("wallet.link")
    trial.confirm()
    browser.arrive_at("/session")
    person = linked_accounts_of(services).user(tried)
    assert person.accounts == (tried, account_of(wallet))

    browser.sign_in(wallet, again="1")
    browser.open("/session")
    assert linked_accounts_of(services).user(account_of(wallet)).id == person.id
    assert [row.get_attribute("data-account") for row in browser.all("wallet")] == [
        str(tried),
        str(account_of(wallet)),
    ]
