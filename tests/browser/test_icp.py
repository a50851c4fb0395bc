"""Accounts of the Internet Computer: Internet Identity in a window of its own, and signers in the page."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from sessions_core.parts.internet_computer import canisters, principals, verifier

from .. import canister_signatures
from ..canister_signatures import canister_key, key_of, signed_tree
from ..time_machine import TimeMachine
from .conftest import Hold, Interruption
from .identity_page import Chain, InternetIdentity, MakeSigner, SignerInPage, in_base64
from .pages import Browser, ConfirmPanel, ConnectPanel
from .step_up import ask_to_extend
from .wallet_in_page import WalletInPage

MAIN_NETWORK = "icp:737ba355e855bd4b61279056603e0550"
ACCOUNTS = ("/api/auth/accounts", "POST")
# The key of RFC 8410, section 10.1.
DER = "302a300506032b657003210019bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"
CANISTER = ["rdmx6-jaaaa-aaaaa-aaadq-cai"]
Listed = Any  # a wallet that a panel lists


@pytest.fixture
def overrides(overrides: dict[str, Any], identity_port: int) -> dict[str, Any]:
    return overrides | {"SESSIONS_CORE_INTERNET_IDENTITY_URL": f"http://localhost:{identity_port}/#authorize"}


@pytest.fixture
def signer(make_signer: MakeSigner) -> SignerInPage:
    return make_signer()


@pytest.fixture
def asked(panel: ConnectPanel, identity: InternetIdentity) -> dict[str, str]:
    """The window is open, and was asked."""
    panel.open()
    panel.choose(identity)
    return identity.enter()


def sign_in(panel: ConnectPanel, wallet: Listed, **changes: Any) -> None:
    panel.open()
    panel.choose(wallet)
    wallet.allow(**changes)
    panel.wait_for("ready_to_sign")
    panel.sign()
    panel.browser.arrive_at("/session")


def keys_in_page(browser: Browser) -> str:
    """What a script could find of keys: storage, and databases but that of the wallet that is made here."""
    return str(
        browser.driver.execute_async_script(
            "const done = arguments[0]; indexedDB.databases().then((all) => {"
            " const found = all.filter(({ name }) => name !== 'wallet-share');"
            " done(JSON.stringify([found, Object.keys(localStorage), Object.keys(sessionStorage)])) })"
        )
    )


# -- Internet Identity -----------------------------------------------------------------------------------------------


def test_user_signs_in_with_internet_identity(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity, identity_port: int
) -> None:
    """No wallet extension is installed."""
    panel.open()
    panel.wait_for("no_wallet")
    assert panel.wallets == [f"Internet Identity\nOpens localhost:{identity_port}, nothing to install"]
    panel.choose(identity)
    panel.wait_for("connecting")
    asked = identity.allow()
    assert asked["origin"] == browser.origin
    assert int(asked["lifetime"]) == 10 * 60 * 10**9
    panel.wait_for("ready_to_sign")
    browser.wait(lambda: not identity.open, "the window was left open")
    assert f"\n{identity.address}\n" in panel.preview
    assert "For 10 minutes this page can sign for you. “Internet Identity” won’t show this message" in panel.spoken
    assert "Your wallet will show" not in browser.text
    panel.sign()
    browser.arrive_at("/session")
    assert identity.address in browser.text
    assert "Internet Computer" in browser.text
    assert browser.run("return document.querySelectorAll('.badge--mainnet').length")
    assert "Send transactions" in browser.text
    assert "Internet Identity" in browser.text


def test_canister_signature_from_internet_identity_is_accepted(
    browser: Browser,
    panel: ConnectPanel,
    identity: InternetIdentity,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The signature is used in the form in which Internet Identity delivers it."""
    monkeypatch.setattr(canisters, "network", lambda: MAIN_NETWORK.removeprefix("icp:"))
    monkeypatch.setattr(canisters, "ROOT_KEY", key_of(canister_signatures.ROOT_SECRET))
    panel.open()
    panel.choose(identity)
    asked = identity.enter()
    identity.answer(of_canister(identity.chain(asked["key"], asked["lifetime"])))
    panel.wait_for("ready_to_sign")
    panel.sign()
    browser.arrive_at("/session")
    assert principals.write_principal(hashlib.sha224(canister_key()).digest() + b"\2") in browser.text


def of_canister(chain: Chain) -> Chain:
    """The chain with its first delegation signed by a canister instead."""
    [link] = chain["delegations"]
    own = link["delegation"]
    hashed = verifier._hash(verifier._Delegation(expiration=own["expiration"], pubkey=own["pubkey"]))
    signed = b"\x1aic-request-auth-delegation" + hashed
    signature = canister_signatures.sign(signs=signed_tree(signed)).hex()
    return {"delegations": [{"delegation": own, "signature": signature}], "publicKey": canister_key().hex()}


def test_without_the_library_internet_identity_is_not_offered(
    make_app: Callable[..., Any], browser: Browser, panel: ConnectPanel, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canisters, "available", lambda: False)
    site.app = make_app(SESSIONS_CORE_PREGENERATED_WALLETS=False)
    panel.open()
    panel.wait_for("no_wallet")
    assert panel.wallets == []
    assert not browser.run("return document.querySelector('[data-part=\"hosted\"]').checkVisibility()")


def test_a_key_of_a_canister_without_the_library_is_explained(
    panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canisters, "available", lambda: False)
    identity.answer(of_canister(identity.chain(asked["key"], asked["lifetime"])))
    panel.wait_for("identity_unsupported")
    assert "check accounts of Internet Identity" in panel.error


@pytest.mark.usefixtures("asked")
def test_closing_the_window_is_declining(panel: ConnectPanel, identity: InternetIdentity) -> None:
    identity.close()
    panel.wait_for("rejected_connect")
    panel.choose(identity)
    identity.allow()
    panel.wait_for("ready_to_sign")


@pytest.mark.usefixtures("asked")
def test_internet_identity_error_is_shown_in_the_details(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity
) -> None:
    identity.refuse("The passkey is gone")
    panel.wait_for("connect_failed")
    assert "The passkey is gone" in str(browser.see("technical").get_attribute("textContent"))


@pytest.mark.usefixtures("asked")
def test_cancelling_closes_the_window(browser: Browser, panel: ConnectPanel, identity: InternetIdentity) -> None:
    identity.leave()
    panel.cancel()
    panel.wait_for("no_wallet")
    browser.wait(lambda: not identity.open, "the window was left open")


def test_the_window_is_asked_again_when_its_page_was_loaded_anew(
    panel: ConnectPanel, identity: InternetIdentity, driver: Chrome, asked: dict[str, str]
) -> None:
    driver.refresh()
    assert identity.allow()["key"] == asked["key"]
    panel.wait_for("ready_to_sign")


def test_message_from_another_site_is_ignored(
    browser: Browser,
    panel: ConnectPanel,
    identity: InternetIdentity,
    identity_port: int,
    asked: dict[str, str],
    driver: Chrome,
) -> None:
    """The window that the page opened shows another site by then, and that site never learns the key."""
    # By the page's own script: the driver would open the address in a window without an opener.
    driver.execute_script("location.href = arguments[0]", f"http://127.0.0.1:{identity_port}/#authorize")
    browser.wait(lambda: browser.run("return location.hostname === '127.0.0.1' && typeof success === 'function'"))
    identity.leave()
    listen(browser)
    identity.arrive()
    driver.execute_script("requests.push({ origin: arguments[0] })", browser.origin)
    identity.say("window.answer(value)", identity.chain(asked["key"], asked["lifetime"]))
    told(browser)
    assert panel.state == "connecting"
    identity.arrive()
    assert driver.execute_script("return requests.length") == 1, "another site was told the key"
    identity.leave()


SLOW_KEY = """
    const subtle = crypto.subtle;
    const gate = new Promise((resolve) => { window.release = resolve; });
    const { generateKey, exportKey } = subtle;
    subtle.generateKey = (...given) => gate.then(() => generateKey.apply(subtle, given));
    window.used = new Promise((resolve) => {
      subtle.exportKey = (...given) => {
        const key = exportKey.apply(subtle, given);
        key.then(() => setTimeout(resolve));
        return key;
      };
    });
"""
LAST = """
    const done = arguments[0];
    addEventListener("message", ({ data }) => data === "last" && done(requests.length));
    postMessage("last", "*");
"""


def test_window_that_left_while_the_key_was_made_gets_no_key(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity, identity_port: int, driver: Chrome
) -> None:
    """The opened window shows another site by the time the page has made its session key."""
    browser.expected_complaints.append("Failed to execute 'postMessage' on 'DOMWindow': The target origin provided")
    with browser.before_scripts(SLOW_KEY):
        panel.open()
    panel.choose(identity)
    identity.arrive()
    driver.execute_script("location.href = arguments[0]", f"http://127.0.0.1:{identity_port}/#authorize")
    browser.wait(lambda: browser.run("return location.hostname === '127.0.0.1' && typeof success === 'function'"))
    identity.leave()
    driver.execute_async_script("release(); used.then(arguments[0])")
    identity.arrive()
    assert driver.execute_async_script(LAST) == 0
    identity.leave()


def test_message_from_another_window_is_ignored(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str]
) -> None:
    """It comes from the right site but not from the window that the page opened."""
    identity.leave()
    [window] = identity._windows()
    forge(browser, identity, asked)
    assert panel.state == "connecting"
    assert window in browser.driver.window_handles
    browser.driver.switch_to.window(window)
    identity.answer(identity.chain(asked["key"], asked["lifetime"]))
    panel.wait_for("ready_to_sign")


def listen(browser: Browser) -> None:
    """Note when the page is told of a success, whoever says so."""
    browser.run(
        "window.told = new Promise((resolve) => addEventListener('message', ({ data }) => {"
        " if (data.kind === 'authorize-client-success') resolve(); }))"
    )


def told(browser: Browser) -> None:
    """Wait until the page was told."""
    browser.driver.execute_async_script("told.then(arguments[0])")


def heard(browser: Browser) -> None:
    """Wait until the page has been told everything that was said before this."""
    browser.driver.execute_async_script(
        "const done = arguments[0]; addEventListener('message', function last({ data }) {"
        " if (data === 'last') { removeEventListener('message', last); done(); } });"
        " postMessage('last', '*');"
    )


def forge(browser: Browser, identity: InternetIdentity, asked: dict[str, str]) -> None:
    """Have a second window of the same site say what the first one would."""
    other = InternetIdentity(browser.driver, browser.home)
    before = set(browser.driver.window_handles)
    browser.run(f"open({json.dumps(identity_url(browser))}, '_blank')")
    [new] = browser.wait(lambda: set(browser.driver.window_handles) - before)
    listen(browser)
    browser.driver.switch_to.window(new)
    browser.wait(lambda: browser.run("return typeof success === 'function'"))
    browser.run("requests.push({ origin: arguments[0] })", browser.origin)
    other.say("answer(value)", identity.chain(asked["key"], asked["lifetime"]))
    told(browser)
    browser.driver.switch_to.window(new)
    browser.driver.close()
    browser.driver.switch_to.window(browser.home)


def identity_url(browser: Browser) -> str:
    return str(browser.run("return document.querySelector('#connect').dataset.identityUrl"))


def test_a_browser_that_opens_no_window_is_explained(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity
) -> None:
    panel.open()
    browser.run("window.really = window.open; window.open = () => null")
    panel.choose(identity)
    panel.wait_for("popup_blocked")
    assert "blocked the window of “Internet Identity”" in panel.error
    browser.run("window.open = window.really")
    panel.retry()
    identity.allow()
    panel.wait_for("ready_to_sign")


def test_a_delegation_with_targets_is_refused_and_says_so(
    panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str]
) -> None:
    identity.answer(identity.chain(asked["key"], asked["lifetime"], targets=CANISTER))
    panel.wait_for("delegation_restricted")
    assert "permission doesn’t cover signing in" in panel.error
    panel.retry()
    identity.allow()
    panel.wait_for("ready_to_sign")


def test_expired_delegation_is_refused_and_explained(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str]
) -> None:
    """The server refuses it; the page says that it has expired, and a new attempt works."""
    identity.answer(identity.chain(asked["key"], asked["lifetime"], expires=1_700_000_000_000))
    panel.wait_for("ready_to_sign")
    panel.sign()
    panel.wait_for("delegation_expired")
    assert "has expired" in panel.error
    assert browser.path == "/sign-in"
    panel.retry()
    identity.allow()
    panel.wait_for("ready_to_sign")
    panel.sign()
    browser.arrive_at("/session")


def test_a_key_that_was_read_over_for_too_long_signs_nothing(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity
) -> None:
    with browser.before_scripts(
        "{ const real = performance.now.bind(performance); window.later = 0;"
        " performance.now = () => real() + window.later; }"
    ):
        panel.open()
    panel.choose(identity)
    identity.allow()
    panel.wait_for("ready_to_sign")
    browser.run("window.later = 600_001")
    panel.sign()
    panel.wait_for("delegation_expired")
    assert panel.hidden_fields["signature"] == ""


def test_a_delegation_to_another_key_is_refused(
    panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str]
) -> None:
    other = json.loads(InternetIdentity(identity.driver, "").signer.sign("text"))["publicKey"]
    identity.answer(identity.chain(other, asked["lifetime"]))
    panel.wait_for("connect_failed")


def test_delegation_signed_by_another_key_is_refused(
    panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str]
) -> None:
    """An attacker combines the victim's public key with delegations signed by the attacker's key."""
    victim, attacker = identity, InternetIdentity(identity.driver, "")
    stolen = victim.chain(asked["key"], asked["lifetime"]) | {
        "delegations": attacker.chain(asked["key"], asked["lifetime"])["delegations"]
    }
    identity.answer(stolen)
    panel.wait_for("ready_to_sign")
    panel.sign()
    panel.wait_for("bad_signature")


GARBAGE = (
    "{}",
    "{ delegations: null, userPublicKey: null }",
    "{ delegations: [], userPublicKey: new Uint8Array(44) }",
    "{ delegations: 'text', userPublicKey: new Uint8Array(44) }",
    "{ delegations: [null], userPublicKey: new Uint8Array(44) }",
    "{ delegations: [{}], userPublicKey: new Uint8Array(44) }",
    "{ ...good, userPublicKey: undefined }",
    "{ ...good, userPublicKey: '%' }",
    "{ ...good, userPublicKey: new Uint8Array(0) }",
    "{ ...good, userPublicKey: new Uint8Array(5000) }",
    "{ ...good, userPublicKey: new Uint8Array(44) }",
    "{ ...good, delegations: Array(21).fill(good.delegations[0]) }",
    "{ ...good, delegations: [{ delegation: { ...good.delegations[0].delegation, expiration: 'soon' } }] }",
    "{ ...good, delegations: [{ ...good.delegations[0], signature: {} }] }",
)


@pytest.mark.parametrize("garbage", GARBAGE)
def test_malformed_answer_connects_no_account(
    panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str], garbage: str
) -> None:
    identity.say(
        f"const good = success(value); setTimeout(() => opener.postMessage("
        f"{{ ...({garbage}), kind: 'authorize-client-success' }}, requests.at(-1).origin))",
        identity.chain(asked["key"], asked["lifetime"]),
    )
    panel.browser.wait(lambda: panel.state not in ("connecting", "preparing"))
    assert panel.state in ("connect_failed", "nonce_failed")
    assert panel.hidden_fields["signature"] == ""


@pytest.mark.parametrize("said", ["null", "'authorize-ready'", "7", "[]", "{ kind: 'other' }"])
def test_other_messages_of_the_window_are_ignored(
    panel: ConnectPanel, identity: InternetIdentity, asked: dict[str, str], said: str
) -> None:
    identity.say(f"opener.postMessage({said}, '*')")
    identity.arrive()
    identity.answer(identity.chain(asked["key"], asked["lifetime"]))
    panel.wait_for("ready_to_sign")


def test_session_key_is_new_unreadable_and_never_stored(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity
) -> None:
    """Each attempt makes a new key that scripts can't export; no browser storage holds it."""
    with browser.before_scripts(
        "{ const real = crypto.subtle.generateKey; window.made = [];"
        " crypto.subtle.generateKey = function (...given) {"
        " const pair = real.apply(this, given); pair.then((each) => made.push(each)); return pair; }; }"
    ):
        panel.open()
    keys = set()
    for _ in range(2):
        panel.choose(identity)
        keys.add(identity.allow()["key"])
        panel.wait_for("ready_to_sign")
        panel.cancel()
    assert len(keys) == 2
    assert browser.run("return made.map(({ privateKey }) => privateKey.extractable)") == [False, False]
    assert keys_in_page(browser) == "[[],[],[]]"


def test_failed_account_lookup_is_explained(
    panel: ConnectPanel, identity: InternetIdentity, interrupt: Interruption, asked: dict[str, str]
) -> None:
    """The server computes the account of the key; a new attempt works."""
    interrupt.answers[ACCOUNTS] = lambda: ("no", 502)
    identity.answer(identity.chain(asked["key"], asked["lifetime"]))
    panel.wait_for("server_unreachable")
    del interrupt.answers[ACCOUNTS]
    panel.retry()
    identity.allow()
    panel.wait_for("ready_to_sign")


def test_account_lookup_after_cancelling_is_ignored(
    panel: ConnectPanel, identity: InternetIdentity, hold: Hold, asked: dict[str, str]
) -> None:
    """The user cancels while the page waits for the server to compute the account."""
    hold(*ACCOUNTS)
    identity.answer(identity.chain(asked["key"], asked["lifetime"]))
    panel.browser.wait(lambda: not identity.open)
    panel.cancel()
    panel.wait_for("no_wallet")
    hold.release()
    heard(panel.browser)
    assert panel.state == "no_wallet"


def test_phone_offers_internet_identity_beside_wallet_apps(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity
) -> None:
    """The page says that it needs no app, and the user can sign in with it."""
    browser.as_a_phone()
    browser.look(width=390, height=800)
    panel.open()
    panel.wait_for("in_app_browser")
    assert browser.all("wallet-app")
    assert "You can continue without installing anything:" in browser.text
    panel.choose(identity)
    identity.allow()
    panel.wait_for("ready_to_sign")
    panel.sign()
    browser.arrive_at("/session")


def test_internet_identity_is_listed_below_browser_wallets(
    panel: ConnectPanel, wallet: WalletInPage, make_signer: MakeSigner
) -> None:
    """Two chains with one Internet Computer entry show no headings; another signer brings the headings."""
    panel.open()
    panel.row(wallet)
    assert [row.splitlines()[0] for row in panel.wallets] == ["Test Wallet", "Internet Identity"]
    headings = panel.browser.driver.find_elements(By.CSS_SELECTOR, "[data-part='chain-heading']")
    assert [heading.text for heading in headings if heading.is_displayed()] == []
    make_signer()
    panel.open()
    panel.row(wallet)
    shown = [heading.text for heading in headings_of(panel) if heading.is_displayed()]
    assert shown == ["Ethereum", "Internet Computer"]


def headings_of(panel: ConnectPanel) -> list[Any]:
    return panel.browser.driver.find_elements(By.CSS_SELECTOR, "[data-part='chain-heading']")


def test_the_words_are_those_of_the_wallet_that_was_chosen(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, identity: InternetIdentity
) -> None:
    panel.open()
    panel.choose(identity)
    identity.allow()
    panel.wait_for("ready_to_sign")
    assert browser.see("sign-button").text == "Sign this message"
    panel.cancel()
    panel.choose(wallet)
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")
    assert "Your wallet will show this message." in panel.spoken
    assert "this page can sign for you" not in panel.spoken
    assert browser.see("sign-button").text == "Sign with “Test Wallet”"


# -- Signers in the page ---------------------------------------------------------------------------------------------


def test_a_person_signs_in_with_a_signer_in_the_page(
    browser: Browser, panel: ConnectPanel, signer: SignerInPage
) -> None:
    panel.open()
    panel.choose(signer)
    asked = signer.allow()
    assert "targets" not in asked
    assert asked["maxTimeToLive"] == "600000000000"
    panel.wait_for("ready_to_sign")
    assert signer.dismissed == 1
    panel.sign()
    browser.arrive_at("/session")
    assert signer.address in browser.text


def test_signer_without_permissions_gets_only_delegation(panel: ConnectPanel, signer: SignerInPage) -> None:
    """A signer that does not support `icrc25_request_permissions` is asked for `icrc34_delegation` directly."""
    panel.open()
    panel.choose(signer)
    signer.next_request("icrc25_request_permissions")
    signer.fail(2000, "Not supported")
    signer.next_request("icrc34_delegation")
    signer.fail(3001)
    panel.wait_for("rejected_connect")


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (3001, "rejected_connect"),
        (3000, "wallet_locked"),
        (4000, "wallet_disconnected"),
        (2000, "connect_failed"),
        (-32601, "connect_failed"),
        (1000, "connect_failed"),
        (-32602, "connect_failed"),
        (4001, "rejected_connect"),
    ],
)
def test_each_refusal_of_a_signer_is_recognised(
    browser: Browser, panel: ConnectPanel, signer: SignerInPage, code: int, state: str
) -> None:
    panel.open()
    panel.choose(signer)
    signer.grant()
    signer.next_request("icrc34_delegation")
    signer.fail(code, "why")
    panel.wait_for(state)
    assert signer.dismissed == 1
    if state == "connect_failed":
        assert f"{code} · “why”" in str(browser.see("technical").get_attribute("textContent"))


def test_signer_answer_after_cancelling_is_ignored(
    browser: Browser, panel: ConnectPanel, signer: SignerInPage
) -> None:
    panel.open()
    panel.choose(signer)
    signer.grant()
    signer.next_request("icrc34_delegation")
    panel.cancel()
    panel.wait_for("wallet_list")
    assert signer.dismissed == 1
    signer.answer(in_base64(signer.chain(DER, "600000000000")))
    heard(browser)
    assert panel.state == "wallet_list"


def test_a_signer_s_window_that_closes_is_declining(panel: ConnectPanel, signer: SignerInPage) -> None:
    panel.open()
    panel.choose(signer)
    signer.next_request("icrc25_request_permissions")
    signer.close_unexpectedly()
    panel.wait_for("rejected_connect")


@pytest.mark.parametrize(
    "answer",
    [
        "null",
        "7",
        "{ id: 'another', result: {} }",
        "{ id }",
        "{ id, result: null }",
        "{ id, result: { publicKey: '', signerDelegation: [] } }",
        "{ id, get result() { throw new Error('trap'); } }",
    ],
)
def test_malformed_signer_answer_connects_no_account(panel: ConnectPanel, signer: SignerInPage, answer: str) -> None:
    panel.open()
    panel.choose(signer)
    signer.grant()
    signer.next_request("icrc34_delegation")
    signer.settle_with(answer)
    panel.wait_for("connect_failed")


def test_an_answer_to_another_question_is_none(panel: ConnectPanel, signer: SignerInPage) -> None:
    panel.open()
    panel.choose(signer)
    signer.grant()
    params = signer.next_request("icrc34_delegation")["params"]
    key = base64.b64decode(params["publicKey"]).hex()
    good = in_base64(signer.chain(key, params["maxTimeToLive"]))
    signer.settle_with(f"{{ jsonrpc: '2.0', id: id + 'x', result: {json.dumps(good)} }}")
    panel.wait_for("connect_failed")


TWICE = """(() => {
    const found = [];
    const report = { identityUrl: given[0], add: (_, provider) => found.push(provider) };
    module.find(window, report);
    module.find(window, report);
    return found.length === 2 && found[0] === found[1];
})()"""


def test_internet_identity_is_one_wallet_for_all_scans(browser: Browser, panel: ConnectPanel) -> None:
    panel.open()
    assert browser.module("icp", TWICE, "https://id.ai/#authorize")


def test_signer_delegation_with_targets_is_refused(panel: ConnectPanel, signer: SignerInPage) -> None:
    """The page shows the error `delegation_restricted`."""
    panel.open()
    panel.choose(signer)
    signer.allow(targets=CANISTER)
    panel.wait_for("delegation_restricted")


BROKEN = (
    "null",
    "{}",
    "{ uuid: 'not one', name: 'x', sendMessage() {} }",
    "{ uuid: 'internet-identity', name: 'x', sendMessage() {} }",
    "{ uuid: 'b5ec333c-8854-47bd-be77-74059e0c64d6', name: 'x' }",
    "{ get uuid() { throw new Error('trap') } }",
)


def test_broken_announcements_are_ignored(browser: Browser, panel: ConnectPanel, signer: SignerInPage) -> None:
    panel.open()
    panel.row(signer)
    for detail in BROKEN:
        browser.run(f"window.dispatchEvent(new CustomEvent('icrc94:announceProvider', {{ detail: {detail} }}))")
    assert [row.splitlines()[0] for row in panel.wallets] == ["Signer", "Internet Identity"]


# -- Confirming ------------------------------------------------------------------------------------------------------


@pytest.fixture
def confirming(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity, pass_time: TimeMachine
) -> ConfirmPanel:
    """Somebody who came with Internet Identity is about to start the time of their session again."""
    sign_in(panel, identity)
    pass_time(301)
    return ask_to_extend(browser)


def test_step_up_asks_internet_identity_again(
    browser: Browser, confirming: ConfirmPanel, identity: InternetIdentity
) -> None:
    """The page says that the wallet does not show the sentence that is signed."""
    assert "You sign this sentence" in browser.text
    assert "Your wallet won’t show it" in browser.see("page-signs").text
    assert "shows you this sentence" not in browser.text
    confirming.start()
    confirming.wait_for("connecting")
    assert f"Sign in as {identity.address[:6]}" in confirming.spoken
    identity.allow()
    assert browser.see("message")
    assert browser.path.startswith("/session")


def test_another_identity_confirms_nothing(confirming: ConfirmPanel, identity: InternetIdentity) -> None:
    confirming.start()
    asked = identity.enter()
    identity.answer(InternetIdentity(identity.driver, "").chain(asked["key"], asked["lifetime"]))
    confirming.wait_for("address_mismatch")
    assert confirming.proof == ""


def test_closing_the_window_confirms_nothing(confirming: ConfirmPanel, identity: InternetIdentity) -> None:
    confirming.start()
    identity.enter()
    identity.close()
    confirming.wait_for("rejected")
    assert confirming.proof == ""


def test_stopping_to_confirm_closes_the_window(
    browser: Browser, confirming: ConfirmPanel, identity: InternetIdentity
) -> None:
    confirming.start()
    identity.enter()
    identity.leave()
    browser.click("confirm-stop")
    confirming.wait_for("idle")
    browser.wait(lambda: not identity.open, "the window was left open")


def test_a_browser_that_opens_no_window_to_confirm_is_explained(browser: Browser, confirming: ConfirmPanel) -> None:
    browser.run("window.open = () => null")
    confirming.start()
    confirming.wait_for("failed", "blocked")
    assert "window of “Internet Identity”. Allow pop-ups for this site" in confirming.error


def test_a_restricted_delegation_confirms_nothing(confirming: ConfirmPanel, identity: InternetIdentity) -> None:
    confirming.start()
    identity.allow(targets=CANISTER)
    confirming.wait_for("failed", "restricted")
    assert confirming.proof == ""


def test_an_expired_delegation_confirms_nothing(confirming: ConfirmPanel, identity: InternetIdentity) -> None:
    confirming.start()
    identity.allow(expires=1_700_000_000_000)
    assert confirming.problem == "delegation_expired"


def test_a_signer_in_the_page_confirms_too(
    browser: Browser, panel: ConnectPanel, signer: SignerInPage, pass_time: TimeMachine
) -> None:
    sign_in(panel, signer)
    pass_time(301)
    confirming = ask_to_extend(browser)
    confirming.start()
    signer.allow()
    browser.see("message")


def test_a_session_of_a_principal_hears_nothing_of_other_wallets(
    browser: Browser, panel: ConnectPanel, identity: InternetIdentity, wallet: WalletInPage
) -> None:
    sign_in(panel, identity)
    browser.wait(lambda: browser.run("return document.querySelector('wallet-watch').dataset.state") == "no_wallet")


# -- How it looks ----------------------------------------------------------------------------------------------------


def test_internet_identity_sign_in_passes_axe(
    browser: Browser,
    panel: ConnectPanel,
    identity: InternetIdentity,
    make_signer: MakeSigner,
    wallet: WalletInPage,
    check: Callable[[str], None],
) -> None:
    make_signer()
    panel.open()
    panel.row(wallet)
    check("wallet_list")
    panel.choose(identity)
    identity.enter()
    identity.leave()
    check("connecting")
    identity.allow()
    panel.wait_for("ready_to_sign")
    check("ready_to_sign")


def test_internet_identity_offer_passes_axe(
    browser: Browser, panel: ConnectPanel, check: Callable[[str], None]
) -> None:
    panel.open()
    panel.wait_for("no_wallet")
    check("no_wallet")
    browser.as_a_phone()
    panel.open()
    panel.wait_for("in_app_browser")
    check("in_app_browser")


def test_internet_identity_step_up_passes_axe(
    browser: Browser, confirming: ConfirmPanel, identity: InternetIdentity, check: Callable[[str], None]
) -> None:
    check("confirm")
    confirming.start()
    identity.enter()
    identity.leave()
    check("confirm connecting")
    browser.click("confirm-stop")
    browser.run("window.open = () => null")
    confirming.start()
    confirming.wait_for("failed", "blocked")
    check("confirm blocked")
