"""The kit in a browser: its wallet in the page, sign-in by cookie, and clocks that can be moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from sessions_core.sign_in import verifiers
from sessions_core.sign_in.accounts import parse
from sessions_core.testing import TestWallet, age, errors, revoke, sign_in
from sessions_core.testing.browser import BrowserWallet, click, fast_clocks, pass_time, see, sign_in_browser

from ..constants import IDLE, MINUTE
from ..signers import SOLANA, EthereumSigner, SolanaSigner, StacksSigner
from .conftest import CHALLENGES, Hold
from .pages import Browser, ConnectPanel

CHAINS = ["eip155:1", "stacks:1", SOLANA]


@pytest.fixture
def put(browser: Browser) -> Iterator[Any]:
    """Put wallets of the kit into the browser."""
    made: list[BrowserWallet] = []

    def put(*args: Any, **options: Any) -> BrowserWallet:
        made.append(BrowserWallet(browser.driver, *args, **options))
        return made[-1]

    yield put
    for wallet in made:
        wallet.remove()


def choose(browser: Browser) -> None:
    browser.open("/sign-in")
    browser.click("wallet-option")


def sign_in_by_pages(browser: Browser, panel: ConnectPanel) -> None:
    choose(browser)
    panel.wait_for("ready_to_sign")
    panel.sign()
    browser.arrive_at("/session")


@pytest.mark.parametrize("chain", CHAINS)
def test_wallet_of_each_kind_signs_in(browser: Browser, panel: ConnectPanel, put: Any, chain: str) -> None:
    wallet = put(chain)
    sign_in_by_pages(browser, panel)
    assert wallet.address[:5] in browser.text


@pytest.mark.parametrize(
    ("chain", "signer"), [("eip155:1", EthereumSigner), ("stacks:1", StacksSigner), (SOLANA, SolanaSigner)]
)
def test_server_accepts_what_the_page_signs(browser: Browser, put: Any, chain: str, signer: Any) -> None:
    """Texts around the block sizes of the hashes, and with characters of several bytes."""
    wallet = put(chain, connected=True)
    browser.open("/livez")
    assert signer(wallet.wallet.key.hex()).account(chain) == wallet.account
    for text in ("", "a", "é" * 60, "a" * 135, "a" * 136, "a" * 300, "line\nline"):
        verifiers.verify(parse(wallet.account), text, sign_in_page(browser, wallet, text), 0)


def sign_in_page(browser: Browser, wallet: BrowserWallet, text: str) -> str:
    """Have the wallet sign as a page does, without a user."""
    kind = wallet.wallet.chain.partition(":")[0]
    asked = {
        "eip155": """(await provider.request({ method: "personal_sign", params: [
          "0x" + Array.from(bytes, (each) => each.toString(16).padStart(2, "0")).join(""), address] }))""",
        "stacks": """(await XverseProviders.BitcoinProvider.request("stx_signMessage", { message: text }))
          .result.signature""",
        "solana": """base58((await wallet.features["solana:signMessage"].signMessage(
          { account: wallet.accounts[0], message: bytes }))[0].signature)""",
    }[kind]
    return str(
        browser.driver.execute_async_script(
            """
            const [text, address, done] = arguments, bytes = new TextEncoder().encode(text);
            let provider, wallet;
            addEventListener("eip6963:announceProvider", ({ detail }) => { provider = detail.provider; });
            dispatchEvent(new Event("eip6963:requestProvider"));
            const register = (given) => { wallet = given; };
            dispatchEvent(new CustomEvent("wallet-standard:app-ready", { detail: { register } }));
            const base58 = (raw) => {
              const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
              let [left, digits] = [raw.reduce((sum, byte) => sum * 256n + BigInt(byte), 0n), ""];
              for (; left; left /= 58n) digits = alphabet[Number(left % 58n)] + digits;
              return "1".repeat(raw.findIndex((byte) => byte)) + digits;
            };
            (async () => ASKED)().then(done, (error) => done(String(error?.message ?? error)));
            """.replace("ASKED", asked),
            text,
            wallet.address,
        )
    )


@pytest.mark.parametrize("chain", CHAINS)
def test_wallet_can_reject_and_approve_later(browser: Browser, panel: ConnectPanel, put: Any, chain: str) -> None:
    wallet = put(chain)
    wallet.reject()
    choose(browser)
    panel.wait_for("rejected_connect")
    wallet.approve()
    sign_in_by_pages(browser, panel)


def test_stalled_question_is_answered_later(browser: Browser, panel: ConnectPanel, put: Any) -> None:
    wallet = put()
    choose(browser)
    panel.wait_for("ready_to_sign")
    wallet.stall()
    panel.sign()
    panel.wait_for("signing")
    assert wallet.calls[-1] == "personal_sign"
    wallet.reject()
    panel.wait_for("rejected_sign")
    wallet.stall()
    panel.sign()
    panel.wait_for("signing")
    wallet.approve()
    browser.arrive_at("/session")


def test_page_is_told_of_another_account(browser: Browser, panel: ConnectPanel, put: Any) -> None:
    wallet = put()
    choose(browser)
    panel.wait_for("ready_to_sign")
    before = wallet.address
    assert wallet.switch_account("another").address == wallet.address != before
    panel.wait_for("account_switched")
    browser.open("/session")
    wallet.switch_account("third")
    sign_in_by_pages(browser, panel)
    assert wallet.address[:6] in browser.text


def test_page_is_told_of_another_network(browser: Browser, panel: ConnectPanel, put: Any) -> None:
    wallet = put()
    choose(browser)
    panel.wait_for("ready_to_sign")
    assert wallet.switch_network("eip155:424242").account.startswith("eip155:424242:")
    panel.wait_for("wrong_network")


def test_locked_wallet_asks_to_connect_again(browser: Browser, panel: ConnectPanel, put: Any) -> None:
    wallet = put()
    sign_in_by_pages(browser, panel)
    wallet.lock()
    browser.open("/sign-in", again="1")
    assert "eth_requestAccounts" not in wallet.calls
    browser.click("wallet-option")
    panel.wait_for("ready_to_sign")
    assert "eth_requestAccounts" in wallet.calls


@pytest.mark.parametrize("connected", [True, False])
def test_browser_is_signed_in_without_the_pages(browser: Browser, app: Flask, put: Any, connected: bool) -> None:
    wallet = put() if connected else TestWallet()
    session = sign_in_browser(browser.driver, app, wallet)
    browser.open("/session")
    browser.wait_for_session("active")
    assert session.account == wallet.account
    revoke(session)
    browser.open("/session")
    assert browser.path.startswith(("/sign-in", "/signed-out"))


def test_session_by_cookie_confirms_with_the_wallet(browser: Browser, app: Flask, put: Any) -> None:
    wallet = put()
    age(sign_in_browser(browser.driver, app, wallet), minutes=10)
    other = sign_in(app.test_client(), wallet.wallet)
    browser.open("/sessions/everywhere")
    click(browser.driver, "end-confirm")
    assert see(browser.driver, "confirm-sentence")
    click(browser.driver, "confirm-button")
    browser.arrive_at("/signed-out")
    assert other.end_reason == "everywhere"


def test_click_waits_until_a_button_takes_it(browser: Browser, panel: ConnectPanel, put: Any, hold: Hold) -> None:
    """The button to sign is there before the text is."""
    put()
    browser.open("/sign-in")
    hold(*CHALLENGES)
    click(browser.driver, "wallet-option")
    panel.wait_for("preparing")
    assert see(browser.driver, "sign-button")
    with pytest.raises(errors.NotSeen, match="took no clicks"):
        click(browser.driver, "sign-button", seconds=0)
    hold.release()
    click(browser.driver, "sign-button")
    browser.arrive_at("/session")


def test_element_that_is_not_there_is_named(browser: Browser) -> None:
    browser.open("/sign-in")
    for wait in (see, click):
        with pytest.raises(errors.NotSeen, match="'no-such' was not to be seen"):
            wait(browser.driver, "no-such", seconds=0)


def test_time_passes_for_page_and_session(browser: Browser, app: Flask) -> None:
    session = sign_in_browser(browser.driver, app, TestWallet())
    browser.open("/session")
    with pytest.raises(errors.ClocksMissing, match="fast_clocks"):
        pass_time(browser.driver, session, minutes=1)
    take_back = fast_clocks(browser.driver)
    browser.open("/session")
    browser.wait_for_session("active")
    take_back()
    pass_time(browser.driver, session, seconds=IDLE - MINUTE)
    browser.see("timeout-dialog")
    browser.click("timeout-stay")
    browser.see_no("timeout-dialog")
    pass_time(browser.driver, session, seconds=IDLE + 1)
    browser.arrive_at("/signed-out")
    assert session.end_reason == "idle"


def test_what_is_no_browser_is_refused() -> None:
    class AsyncPage:
        async def add_init_script(self, source: str) -> None: ...

    for what in (None, object(), AsyncPage()):
        with pytest.raises(errors.BrowserUnsupported, match=r"playwright\.sync_api"):
            BrowserWallet(what)


def test_chain_without_a_wallet_in_the_page_is_refused(browser: Browser) -> None:
    with pytest.raises(errors.ChainUnknown, match="only for eip155, stacks and solana"):
        BrowserWallet(browser.driver, "icp")
