"""Makes the pictures of README, and one of every page and state in light, dark and on a narrow screen, to look at.

`make screenshots` runs this; the pictures for README go to docs/images, the others to build/screenshots.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from eth_account import Account
from flask import Flask
from redis import Redis
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from sessions_core import events
from sessions_core.errors import RateLimited
from sessions_core.parts.live_updates import LiveUpdates
from sessions_core.parts.rate_limits import RateLimits
from sessions_core.parts.trial_wallets import TrialWallets
from sessions_core.sessions import end_reasons
from sessions_core.sign_in.accounts import parse
from sessions_core.web.services import Services
from tests.servers import free_port
from tests.time_machine import Clock, TimeMachine

from ..constants import ROOT
from ..part_services import roles_of
from .activity_log import everything
from .clocks_in_page import HURRY
from .conftest import Elsewhere, Site, account_of
from .families_in_page import Leather, Solana, Xverse
from .identity_page import InternetIdentity, MakeSigner
from .pages import FIREFOX, PHONE, Browser, ConfirmPanel, ConnectPanel
from .session_list import LONG, come_back, give_name
from .step_up import ask_to_end, ask_to_extend
from .tour_page import press
from .trial_wallet import Trial
from .wallet_in_page import Request, WalletInPage

README, ALL = ROOT / "docs/images", ROOT / "build/screenshots"


class SmartWallet(WalletInPage):
    """A wallet whose signature only its network could judge."""

    def _sign(self, request: Request, key: Any) -> tuple[str, str]:
        text, signature = super()._sign(request, key)
        return text, signature + signature[2:]


@pytest.fixture
def overrides(overrides: dict[str, Any]) -> dict[str, Any]:
    """Nobody listens where the node of Polygon should be; Ethereum has none. Pages can be Arabic, too."""
    nodes = {"eip155:137": f"http://127.0.0.1:{free_port()}"}
    return overrides | {"SESSIONS_CORE_RPC_URLS": nodes, "SESSIONS_CORE_LANGUAGES": ("en", "ar")}


@pytest.fixture
def wallet(browser: Browser) -> Iterator[WalletInPage]:
    """A wallet whose account is the same in every picture."""
    wallet = WalletInPage(browser.driver, "Fox Wallet")
    wallet.keys = [Account.from_key("0x" + "11" * 32)]
    wallet.install()
    yield wallet
    wallet.uninstall()


@pytest.fixture
def smart_wallet(browser: Browser) -> Iterator[SmartWallet]:
    wallet = SmartWallet(browser.driver, "Contract Wallet")
    yield wallet
    wallet.uninstall()


@pytest.fixture(params=["light", "dark", "narrow"])
def look(request: pytest.FixtureRequest, browser: Browser) -> str:
    width = 320 if request.param == "narrow" else 1280
    browser.look(width=width, height=800, dark=request.param == "dark")
    return str(request.param)


@pytest.fixture
def picture(browser: Browser, look: str) -> Callable[..., None]:
    def take(name: str) -> None:
        ALL.mkdir(parents=True, exist_ok=True)
        browser.picture(ALL / f"{name}-{look}.png")

    return take


def test_readme(browser: Browser, wallet: WalletInPage) -> None:
    README.mkdir(exist_ok=True)
    browser.look(width=1000, height=760)
    browser.sign_in(wallet)
    browser.picture(README / "session.png")


def test_social_image(browser: Browser) -> None:
    """What other sites show of a link to the home page: its first screen."""
    browser.look(width=1200, height=630)
    browser.open("/")
    clip = {"x": 0, "y": 0, "width": 1200, "height": 630, "scale": 1}
    data = browser.cdp("Page.captureScreenshot", clip=clip)["data"]
    (ROOT / "static/social.png").write_bytes(base64.b64decode(data))


def test_pages(
    browser: Browser, wallet: WalletInPage, picture: Callable[..., None], end: Callable[[str], None]
) -> None:
    browser.open("/")
    picture("home")
    panel = ConnectPanel(browser)
    panel.open(next="/session")
    panel.wait_for("wallet_list")
    picture("sign-in")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    picture("ready-to-sign")
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
    picture("session")
    browser.open("/")
    picture("home-signed-in")
    browser.open("/nowhere")
    picture("404")
    browser.open("/sign-out")
    picture("sign-out")
    browser.driver.find_element("css selector", "main form button").click()
    browser.arrive_at("/signed-out")
    for reason in [*end_reasons.with_pages(), "unknown"]:
        end(reason)
        browser.open("/signed-out")
        picture(f"signed-out-{reason}")


def test_the_tour(browser: Browser, picture: Callable[..., None], trial: Trial) -> None:
    browser.open("/tour")
    picture("tour-visitor")
    trial.enter(next="/tour")
    browser.see("server-log")
    picture("tour")
    browser.click("log-open")
    browser.see("log-request")
    picture("tour-log")
    browser.click("log-open")
    for name in ("members", "invoices/7", "testnet", "live", "api", "note"):
        browser.open(f"/tour/{name}")
        picture(f"tour-{name.partition('/')[0]}")
    browser.open("/tour/invoices/7")
    press(browser, "pay")
    browser.see("confirm")
    picture("tour-invoice-confirm")
    trial.confirm()
    browser.see("invoice-paid")
    picture("tour-invoice-paid")
    press(browser, "replay")
    picture("tour-outcome-replay")
    browser.open("/tour/api")
    press(browser, "make-token")
    picture("tour-api-token")
    browser.open("/tour")
    press(browser, "make-editor")
    picture("tour-editors")
    browser.open("/tour")
    press(browser, "second")
    picture("tour-second")
    browser.open("/read/README.md")
    picture("tour-document")
    browser.open("/tour")
    press(browser, "stale")
    picture("tour-outcome-stale")


def test_warnings(
    browser: Browser, wallet: WalletInPage, picture: Callable[..., None], app: Flask, redis: Redis, clock: Clock
) -> None:
    pass_time = TimeMachine(app, redis, clock)
    browser.sign_in(wallet)
    pass_time(1800 - 115)
    browser.look_again()
    browser.see("timeout-dialog")
    picture("warning")
    browser.offline()
    browser.click("timeout-stay")
    browser.wait(lambda: browser.see("timeout-dialog").get_attribute("data-state") == "error")
    picture("warning-offline")
    browser.run("window.dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    browser.see("cover-recheck")
    picture("cover-unreachable")
    browser.online()


def test_without_a_wallet(
    browser: Browser,
    make_wallet: Callable[..., WalletInPage],
    picture: Callable[..., None],
    services: Services,
    app: Flask,
    end: Callable[[str], None],
) -> None:
    trial = Trial(browser)
    trial.panel.open()
    browser.see("try-without-wallet")
    trial.panel.wait_for("no_wallet")
    picture("trial-offer-alone")
    trial.choose()
    picture("trial-ready-to-sign")
    trial.panel.sign()
    browser.arrive_at("/session")
    browser.see("pregenerated")
    picture("trial-session")
    browser.open("/session/wallet/delete")
    picture("trial-delete")
    browser.see("delete-word").send_keys("no")
    browser.follow("delete-confirm")
    browser.see("delete-wrong")
    picture("trial-delete-wrong")
    browser.see("delete-word").send_keys("delete")
    browser.follow("delete-confirm")
    picture("trial-delete-confirm")
    browser.open("/session/wallet/export")
    picture("trial-export")
    browser.click("export-show")
    browser.see("private-key")
    picture("trial-export-shown")
    browser.run("window.dispatchEvent(new Event('beforeprint'))")
    browser.see("export-away")
    picture("trial-export-away")
    browser.open("/session")
    browser.follow("sign-out")
    make_wallet("Fox Wallet")
    trial.panel.open()
    trial.panel.wait_for("wallet_list")
    browser.see("try-without-wallet")
    picture("trial-offer-held")
    browser.open("/signed-out")
    browser.see("half-stays")
    picture("trial-signed-out")
    with app.app_context():
        services.part(TrialWallets).key_shares.forget(parse(trial.account))
    trial.choose()
    trial.panel.sign()
    trial.panel.wait_for("wallet_gone")
    picture("trial-gone")
    for reason in ("share_gone", "wallet_deleted"):
        end(reason)
        browser.open("/signed-out")
        picture(f"signed-out-{reason}")
        browser.open("/sign-in", reason=reason)
        picture(f"sign-in-{reason}")


def test_the_wallet_elsewhere(browser: Browser, wallet: WalletInPage, picture: Callable[..., None]) -> None:
    browser.sign_in(wallet)
    wallet.switch_chain(11155111)
    browser.see("network-changed")
    picture("network-changed")
    wallet.keys = [Account.from_key("0x" + "22" * 32)]
    wallet.install()
    for name, path in (("session", "/session"), ("home", "/"), ("404", "/nowhere")):
        browser.open(path)
        browser.see("account-changed")
        picture(f"account-changed-{name}")


def test_a_sign_in_elsewhere(
    browser: Browser,
    wallet: WalletInPage,
    elsewhere: Elsewhere,
    picture: Callable[..., None],
    pass_time: TimeMachine,
) -> None:
    browser.enter(wallet)
    elsewhere.sign_in(wallet)
    pass_time(130)
    for name, path in (("session", "/session"), ("home", "/")):
        browser.open(path)
        browser.see("elsewhere")
        picture(f"elsewhere-{name}")
    elsewhere.sign_in(wallet, PHONE, "2001:db8:85a3:1234:5678:8a2e:370:7334", name="W" * 40)
    pass_time(70)
    browser.open("/activity")
    browser.see("elsewhere")
    browser.press(Keys.TAB)
    picture("elsewhere-more")
    browser.follow("elsewhere-not-me")
    picture("elsewhere-devices")


@pytest.mark.parametrize("language", ["en", "ar"])
def test_live_updates(
    browser: Browser,
    wallet: WalletInPage,
    picture: Callable[..., None],
    services: Services,
    elsewhere: Elsewhere,
    language: str,
) -> None:
    """The line above the page, and the page after another device has ended the session."""
    browser.cdp("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
    browser.enter(wallet)
    browser.wait(lambda: services.part(LiveUpdates).hub.count)
    elsewhere.sign_in(wallet)
    browser.see("live-notice")
    picture(f"live-sign-in-{language}")
    browser.driver.refresh()
    browser.wait(lambda: services.part(LiveUpdates).hub.count)
    with elsewhere.request():
        roles_of(services).assign(account_of(wallet), "admin")
    browser.see("live-notice")
    picture(f"live-role-{language}")
    handle = browser.run("return document.querySelector('session-timeout').dataset.sessionId")
    with elsewhere.request():
        services.lifecycle.revoke_handle(account_of(wallet), handle, "revoked")
    browser.arrive_at("/signed-out")
    picture(f"live-revoked-{language}")
    browser.cdp("Network.setExtraHTTPHeaders", headers={})


def test_a_professional(
    browser: Browser, wallet: WalletInPage, picture: Callable[..., None], app: Flask, services: Services
) -> None:
    roles = roles_of(services)
    with app.app_context():
        roles.assign(account_of(wallet), "admin")
        roles.verify(account_of(wallet), "lic_2041_77", "licensed", 300)
    browser.sign_in(wallet)
    picture("session-verified")
    browser.sign_in(wallet, again="1", session_type="professional")
    picture("session-professional")
    browser.follow("extend")
    browser.click("confirm-button")
    wallet.approve_sign()
    browser.see("message")
    picture("session-extended")
    with app.app_context():
        roles.assign(account_of(wallet), "restricted")
        roles.withdraw(account_of(wallet))
    browser.open("/session")
    picture("session-restricted")


def test_devices(
    browser: Browser,
    wallet: WalletInPage,
    elsewhere: Elsewhere,
    picture: Callable[..., None],
    pass_time: TimeMachine,
) -> None:
    browser.sign_in(wallet)
    browser.open("/sessions")
    picture("devices-alone")
    browser.open("/sessions/others")
    picture("devices-nothing-to-end")
    laptop = elsewhere.sign_in(wallet, FIREFOX, "203.0.113.7")
    pass_time(620)
    elsewhere.sign_in(wallet, PHONE, "2001:db8:85a3:1234:5678:8a2e:370:7334", name="Rainbow")
    elsewhere.sign_in(wallet, "curl/8.14.1", "198.51.100.20", name="", kind="professional")
    other = elsewhere.sign_in(wallet, LONG, "203.0.113.80")
    pass_time(330)
    browser.open("/sessions")
    give_name(browser, laptop, "Old laptop in the kitchen")
    picture("devices-named")
    browser.open("/sessions")
    picture("devices")
    browser.run("for (const each of document.querySelectorAll('details')) each.open = true")
    picture("devices-open")
    browser.open("/sessions")
    elsewhere.end(wallet, other)
    elsewhere.sign_in(wallet, FIREFOX)
    come_back(browser)
    picture("devices-ended-meanwhile")
    browser.open("/sessions")
    for name in ("others", "everywhere"):
        browser.open(f"/sessions/{name}")
        picture(f"devices-end-{name}")
    browser.open("/sessions")
    revoke = browser.driver.find_element("css selector", f'[data-handle="{laptop}"] [data-testid="session-revoke"]')
    browser.settled(revoke).click()
    browser.click("confirm-button")
    wallet.approve_sign()
    browser.see("message")
    picture("devices-revoked")
    for number in range(16):
        elsewhere.sign_in(wallet, (FIREFOX, PHONE)[number % 2])
    browser.open("/sessions")
    picture("devices-many")
    browser.scripts(on=False)
    browser.driver.refresh()
    picture("devices-no-script")
    browser.scripts(on=True)


def test_activity(
    browser: Browser,
    wallet: WalletInPage,
    elsewhere: Elsewhere,
    picture: Callable[..., None],
    pass_time: TimeMachine,
) -> None:
    account = str(account_of(wallet))
    browser.sign_in(wallet)
    browser.open("/activity", kind="refusals")
    picture("activity-nothing-refused")
    browser.open("/activity", before="1-1-0")
    picture("activity-empty")
    elsewhere.happen(*everything(account)[:8])
    pass_time(90_000)
    elsewhere.happen(*everything(account)[8:], agent=PHONE, ip="2001:db8:85a3:1234:5678:8a2e:370:7334")
    browser.sign_in(wallet)
    browser.open("/activity")
    picture("activity")
    browser.open("/activity", kind="refusals")
    picture("activity-refused")
    for number in range(50):
        elsewhere.happen(events.SessionRotated(handle=f"sess_{number}", account=account))
    browser.open("/activity")
    browser.follow("activity-older")
    picture("activity-page-2")


def test_internet_identity(
    browser: Browser,
    wallet: WalletInPage,
    identity: InternetIdentity,
    identity_port: int,
    make_app: Callable[..., Flask],
    make_signer: MakeSigner,
    site: Site,
    redis: Redis,
    clock: Clock,
    picture: Callable[..., None],
) -> None:
    page = f"http://localhost:{identity_port}/#authorize"
    site.app = app = make_app(SESSIONS_CORE_INTERNET_IDENTITY_URL=page)
    panel = ConnectPanel(browser)
    panel.open()
    panel.row(wallet)
    picture("icp-wallet-list")
    make_signer("Signer of the Internet Computer")
    panel.open()
    panel.row(wallet)
    picture("icp-wallet-list-by-chain")
    browser.run("window.really = window.open; window.open = () => null")
    panel.choose(identity)
    panel.wait_for("popup_blocked")
    picture("icp-popup-blocked")
    browser.run("window.open = window.really")
    panel.retry()
    asked = identity.enter()
    identity.leave()
    picture("icp-connecting")
    identity.arrive()
    identity.answer(identity.chain(asked["key"], asked["lifetime"]))
    panel.wait_for("ready_to_sign")
    picture("icp-ready-to-sign")
    panel.sign()
    browser.arrive_at("/session")
    picture("icp-session")
    TimeMachine(app, redis, clock)(301)
    confirm = ask_to_extend(browser)
    picture("icp-confirm")
    confirm.start()
    identity.enter()
    identity.leave()
    picture("icp-confirm-connecting")
    browser.click("confirm-stop")
    browser.run("window.open = () => null")
    confirm.start()
    confirm.wait_for("failed", "blocked")
    picture("icp-confirm-blocked")


def test_internet_identity_without_a_wallet(
    browser: Browser, identity_port: int, make_app: Callable[..., Flask], site: Site, picture: Callable[..., None]
) -> None:
    site.app = make_app(SESSIONS_CORE_INTERNET_IDENTITY_URL=f"http://localhost:{identity_port}/#authorize")
    panel = ConnectPanel(browser)
    panel.open()
    panel.wait_for("no_wallet")
    picture("icp-no-wallet")
    browser.as_a_phone()
    panel.open()
    panel.wait_for("in_app_browser")
    picture("icp-phone")


def test_failures(driver: Chrome, browser: Browser, wallet: WalletInPage, picture: Callable[..., None]) -> None:
    panel = ConnectPanel(browser)
    panel.open()
    panel.choose(wallet)
    wallet.reject()
    panel.wait_for("rejected_connect")
    picture("rejected")
    browser.run("document.querySelector('[name=csrf_token]').value = 'old'")
    browser.run("document.querySelector('#connect form').submit()")
    browser.wait(lambda: "csrf_failed" in browser.text or "open for too long" in browser.text)
    picture("csrf")
    wallet.uninstall()
    panel.open()
    panel.wait_for("no_wallet")
    picture("no-wallet")
    browser.open("/sign-in/phone", app="xverse", next="/session")
    picture("phone")
    browser.open("/sign-in/phone", app="phantom", next="/" + "way/" * 60)
    picture("phone-long-link")


def test_too_many_sign_ins(
    browser: Browser, wallet: WalletInPage, services: Services, picture: Callable[..., None]
) -> None:
    panel = ConnectPanel(browser)
    panel.connect(wallet)
    with suppress(RateLimited):
        while True:
            services.part(RateLimits).limits.hit("sign_ins", "127.0.0.1", None)
    panel.sign()
    wallet.approve_sign()
    panel.wait_for("rate_limited")
    picture("rate-limited")


def test_contract_wallets(browser: Browser, smart_wallet: SmartWallet, picture: Callable[..., None]) -> None:
    panel = ConnectPanel(browser)
    for chain, state in ((1, "contract_wallet"), (137, "network_unreachable")):
        smart_wallet.chain, smart_wallet.connected = chain, False
        smart_wallet.install()
        panel.connect(smart_wallet)
        panel.sign()
        smart_wallet.approve_sign()
        panel.wait_for(state)
        picture(state.replace("_", "-"))
    smart_wallet.uninstall()
    for reason in ("limit", "wallet_revoked"):
        browser.open("/sign-in", reason=reason)
        panel.wait_for("no_wallet")
        picture(f"sign-in-{reason}")


def test_families(
    browser: Browser, wallet: WalletInPage, picture: Callable[..., None], make_app: Callable[..., Flask], site: Site
) -> None:
    panel = ConnectPanel(browser)
    others = [Leather(browser.driver, chain="stacks:2147483648"), Xverse(browser.driver), Solana(browser.driver)]
    for rows in (4, 1):
        panel.open()
        browser.wait(lambda rows=rows: len(panel.rows) == rows)
        picture(f"families-{rows}")
        for other in (wallet, *others[1:]):
            other.uninstall()
    site.app = make_app(
        SESSIONS_CORE_CHAINS=["eip155:1", "stacks:1", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"],
        SESSIONS_CORE_RPC_URLS={},
    )
    panel.open()
    panel.choose(others[0])
    others[0].approve_connect()
    panel.wait_for("wrong_network")
    picture("families-wrong-network")
    others[0].uninstall()
    browser.as_a_phone()
    panel.open()
    panel.wait_for("in_app_browser")
    picture("families-phone")


def test_confirming(
    browser: Browser,
    wallet: WalletInPage,
    make_wallet: Callable[..., WalletInPage],
    elsewhere: Elsewhere,
    picture: Callable[..., None],
    pass_time: TimeMachine,
) -> None:
    elsewhere.sign_in(wallet, FIREFOX)
    browser.sign_in(wallet)
    pass_time(1000)
    wallet.uninstall()
    panel = ask_to_end(browser)
    picture("confirm")
    panel.start()
    panel.wait_for("no_wallet")
    picture("confirm-no-wallet")
    wallet.install()
    make_wallet("Other Wallet", rdns="org.example.other")
    browser.driver.refresh()
    panel.arrive("session.revoke")
    panel.start()
    panel.wait_for("signing")
    browser.run("document.querySelector('[data-testid=confirm-text]').open = true")
    picture("confirm-signing")
    wallet.reject()
    panel.wait_for("rejected")
    picture("confirm-rejected")
    panel.start()
    panel.wait_for("signing")
    wallet.approve_sign(key=Account.from_key("0x" + "22" * 32))
    browser.see("confirm-problem")
    picture("confirm-problem")
    wallet.switch_account_silently()
    panel.start()
    panel.wait_for("address_mismatch")
    picture("confirm-address-mismatch")
    browser.click("confirm-another")
    panel.wait_for("choose_wallet")
    picture("confirm-choose-wallet")


def test_linking(
    browser: Browser,
    wallet: WalletInPage,
    make_wallet: Callable[..., WalletInPage],
    elsewhere: Elsewhere,
    picture: Callable[..., None],
) -> None:
    other = make_wallet("Other Wallet", rdns="org.example.other")
    other.keys = [Account.from_key("0x" + "22" * 32)]
    other.install()
    elsewhere.sign_in(other, FIREFOX, name="Other Wallet")
    browser.sign_in(wallet)
    browser.follow("link-wallet")
    panel = ConnectPanel(browser)
    panel.wait_for("wallet_list")
    picture("link")
    panel.choose(wallet)
    panel.wait_for("account_linked")
    picture("link-linked-already")
    panel.choose(other)
    other.approve_connect()
    panel.wait_for("ready_to_sign")
    picture("link-ready-to-sign")
    panel.sign()
    other.approve_sign()
    confirmation = ConfirmPanel(browser)
    confirmation.arrive("wallet.link")
    picture("link-confirm")
    confirmation.confirm(wallet)
    browser.arrive_at("/session")
    picture("session-linked")
    browser.open("/sessions")
    picture("devices-linked")
    browser.open("/activity")
    picture("activity-linked")
    browser.open("/session")
    browser.click("wallet-unlink")
    confirmation.arrive("wallet.unlink")
    picture("unlink-confirm")


def test_unauthorized_pages(
    browser: Browser, make_wallet: Callable[..., WalletInPage], picture: Callable[..., None]
) -> None:
    browser.open("/unauthorized", role="admin")
    picture("unauthorized-visitor")
    browser.open("/unauthorized", session_type="professional")
    picture("unauthorized-visitor-professional")
    ConnectPanel(browser).open(session_type="professional")
    ConnectPanel(browser).wait_for("no_wallet")
    picture("sign-in-professional")
    browser.sign_in(make_wallet("Fox Wallet", chain=11155111))
    browser.open("/admin")
    picture("unauthorized-role")
    browser.open("/unauthorized", permission="transact", next="/session")
    picture("unauthorized-network")
    browser.open("/unauthorized", session_type="professional", next="/session")
    picture("unauthorized-professional")
    browser.open("/unauthorized", permission="write:therapy_notes", next="/session")
    picture("unauthorized-type")
    browser.open("/unauthorized", permission="test-only", next="/session")
    picture("unauthorized-had")
    browser.open("/unauthorized")
    picture("unauthorized-unknown")


def test_administration(
    browser: Browser,
    wallet: WalletInPage,
    make_wallet: Callable[..., WalletInPage],
    elsewhere: Elsewhere,
    picture: Callable[..., None],
    pass_time: TimeMachine,
    services: Services,
) -> None:
    others = [make_wallet("Other", chain=chain) for chain in (1, 137, 11155111)]
    for number, other in enumerate(others):
        other.keys = [Account.from_key("0x" + f"{number + 3}" * 64)]
        elsewhere.sign_in(other, FIREFOX)
        elsewhere.sign_in(other, PHONE, "2001:db8:85a3:1234:5678:8a2e:370:7334", name="Rainbow")
        other.uninstall()
    accounts = [account_of(other) for other in others]
    roles_of(services).verify(accounts[1], "lic_2024-0815", "licensed", 1)
    pass_time(90_000)
    roles_of(services).verify(accounts[0], "lic_2026-4711", "supervisor", 365)
    roles_of(services).assign(accounts[2], "restricted")
    elsewhere.sign_in(others[0], FIREFOX)
    elsewhere.sign_in(others[0], PHONE, "2001:db8:85a3:1234:5678:8a2e:370:7334", name="Rainbow")
    roles_of(services).assign(account_of(wallet), "admin")
    browser.sign_in(wallet)
    browser.open("/admin")
    picture("admin")
    browser.open("/admin", account="0x52908400098527886E0F7030069857D2E4169EE7")
    picture("admin-not-found")
    browser.open(f"/admin/accounts/{accounts[0]}")
    picture("admin-account")
    browser.open(f"/admin/accounts/{accounts[1]}")
    picture("admin-account-lapsed")
    browser.open(f"/admin/accounts/{account_of(wallet)}")
    picture("admin-account-own")
    browser.open("/admin/everybody")
    picture("admin-everybody")
    browser.open("/admin/activity")
    picture("admin-activity")
    browser.open(f"/admin/accounts/{accounts[2]}")
    browser.run("document.querySelector('form#verify').noValidate = true")
    browser.follow("admin-verify")
    picture("admin-invalid")
    browser.run("document.querySelector('#role').value = 'admin'")
    browser.follow("admin-role-save")
    panel = ConfirmPanel(browser)
    panel.arrive("admin.role")
    picture("admin-confirm")
    panel.confirm(wallet)
    browser.see("admin-flash")
    picture("admin-done")
    pass_time(1000)
    browser.open("/admin")
    panel.arrive("admin.open")
    picture("admin-open")


def test_wallets_that_misbehave(
    browser: Browser,
    wallet: WalletInPage,
    make_wallet: Callable[..., WalletInPage],
    elsewhere: Elsewhere,
    picture: Callable[..., None],
    pass_time: TimeMachine,
) -> None:
    make_wallet("Rabbit Wallet", icon="")
    panel = ConnectPanel(browser)
    panel.open()
    panel.row(wallet)
    picture("wallets-three-families")
    wallet.announce_imitation()
    browser.see("imitation")
    picture("wallets-look-alikes")
    browser.open("/sign-in")
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    picture("ready-to-sign-another-account")
    panel.sign()
    wallet.answer("signed")
    panel.wait_for("signature_unreadable")
    picture("signature-unreadable")
    elsewhere.sign_in(wallet)
    browser.enter(wallet)
    browser.open("/session/wallets/link")
    panel.choose(wallet)
    panel.wait_for("account_linked")
    picture("link-another-account")
    twin = make_wallet("Fox Wallet", rdns="org.evil.fox")
    browser.open("/session")
    browser.see("wallet-twins")
    picture("watch-look-alikes")
    pass_time(301)
    confirm = ask_to_end(browser)
    confirm.start()
    confirm.wait_for("choose_wallet")
    picture("confirm-look-alikes")
    twin.uninstall()
    wallet.switch_account_silently()
    confirm = ask_to_end(browser)
    confirm.start()
    confirm.wait_for("address_mismatch")
    picture("confirm-another-account")


@pytest.mark.parametrize(
    "state",
    [
        *("text_changed", "cookies_blocked", "storage_full", "storage_blocked", "share_unreadable"),
        *("account_unable", "wallet_stale", "connect_slow"),
    ],
)
def test_states_of_the_panel(
    browser: Browser, wallet: WalletInPage, picture: Callable[..., None], state: str
) -> None:
    panel = ConnectPanel(browser)
    panel.open()
    panel.row(wallet)
    # As the server would show it.
    browser.run(
        "const panel = document.getElementById('connect');"
        "const words = [arguments[0], ...JSON.parse(panel.dataset.states)[arguments[0]].split(' ')];"
        "for (const each of panel.querySelectorAll('[data-for]'))"
        " each.hidden = !each.dataset.for.split(' ').some((word) => words.includes(word));",
        state,
    )
    picture(f"panel-{state}")


def test_wallets_that_fail(
    browser: Browser,
    make_wallet: Callable[..., WalletInPage],
    elsewhere: Elsewhere,
    picture: Callable[..., None],
    pass_time: TimeMachine,
) -> None:
    """Reached as a person reaches them, on the way to a sign-in and to a confirmation."""
    panel = ConnectPanel(browser)
    late = make_wallet("Slow Wallet", chain=5)
    panel.connect(late, until="wrong_network")
    browser.all("switch-network")[0].click()
    late.approve_switch_late(-1)
    panel.wait_for("switch_unseen")
    picture("switch-unseen")
    browser.run("document.querySelector('[data-slow=switching]').hidden = false")
    picture("switching-slow")
    late.uninstall()
    refusal = {"code": 4100, "message": "This is a read-only account"}
    wallet = make_wallet("Watching Wallet", quirks={"personal_sign": {"error": refusal}})
    panel.connect(wallet)
    panel.sign()
    panel.wait_for("account_unable")
    picture("account-unable")
    elsewhere.sign_in(wallet)
    browser.enter(wallet)
    pass_time(301)
    confirm = ask_to_end(browser)
    confirm.start()
    confirm.wait_for("failed", "unable")
    picture("confirm-account-unable")
    confirm = ask_to_end(browser)
    wallet.cut_off()
    confirm.start()
    confirm.wait_for("failed", "stale")
    picture("confirm-stale")
    with browser.before_scripts(HURRY):
        confirm = ask_to_end(browser)
        wallet.cut_off("silent")
        confirm.start()
        browser.see("confirm-renew")
        picture("confirm-slow")
