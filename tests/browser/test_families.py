"""Wallets of Stacks and of Solana in the pages: signing in, confirming, and what is said when they go elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from selenium.webdriver.common.by import By

from sessions_core.web.services import Services

from ..signers import SOLANA, SOLANA_DEVNET, SolanaSigner, StacksSigner
from ..time_machine import TimeMachine
from .conftest import Elsewhere, account_of
from .families_in_page import FamilyWallet, Leather, Put, Solana, Xverse
from .pages import FIREFOX, Browser, ConnectPanel
from .session_page import turn
from .step_up import ask_to_end
from .wallet_in_page import WalletInPage
from .wallet_watch import notices, short, state, wait_for

STACKS_TESTNET = "stacks:2147483648"
WALLETS = (Leather, Xverse, Solana)


@pytest.fixture(params=WALLETS, ids=lambda kind: kind.__name__)
def family_wallet(request: pytest.FixtureRequest, put: Put) -> FamilyWallet:
    return put(request.param)


def session_of(browser: Browser) -> dict[str, Any]:
    """What the server says of the session of this browser."""
    return dict(
        browser.driver.execute_async_script(
            "fetch('/api/auth/sessions/validate').then((answer) => answer.json()).then(arguments[0])"
        )["data"]
    )


def allowed(browser: Browser) -> set[str]:
    permissions = [each for each in browser.all("session-permission") if each.get_attribute("data-allowed") == "true"]
    return {each.find_element(By.TAG_NAME, "code").text for each in permissions}


# -- Signing in ------------------------------------------------------------------------------------------------

SIGN_INS: list[tuple[type[FamilyWallet], dict[str, Any], str, str]] = [
    (Leather, {}, "stacks:1", "Stacks Mainnet"),
    (Leather, {"chain": STACKS_TESTNET}, STACKS_TESTNET, "Stacks Testnet"),
    (Xverse, {}, "stacks:1", "Stacks Mainnet"),
    (Xverse, {"chain": STACKS_TESTNET}, STACKS_TESTNET, "Stacks Testnet"),
    (Solana, {}, SOLANA, "Solana Mainnet"),
    (Solana, {"network": SOLANA_DEVNET, "chains": ("solana:devnet",)}, SOLANA_DEVNET, "Solana Devnet"),
]


@pytest.mark.parametrize(("kind", "config", "chain", "name"), SIGN_INS, ids=lambda value: str(value)[:24])
def test_signing_in_makes_a_session_of_exactly_this_account(
    browser: Browser, panel: ConnectPanel, put: Put, kind: type[FamilyWallet], config: Any, chain: str, name: str
) -> None:
    wallet = put(kind, **config)
    panel.connect(wallet)
    shown = panel.preview
    assert wallet.address in shown.split("\n")[1]
    panel.sign()
    assert wallet.approve_sign() == shown
    browser.arrive_at("/session")
    session = session_of(browser)
    assert session["account"] == wallet.account == f"{chain}:{wallet.address}"
    assert browser.see("session-account").text == short(wallet.address)
    assert name in browser.see("session-network").text
    real = "Mainnet" in name
    assert ("transact" in allowed(browser)) is real
    assert ("sign" in allowed(browser)) is real
    assert ("test-only" in allowed(browser)) is not real
    assert wallet.info["name"] in browser.text


def test_wallet_is_not_asked_before_a_click(panel: ConnectPanel, family_wallet: FamilyWallet) -> None:
    panel.open()
    panel.row(family_wallet)
    assert family_wallet.calls == []
    panel.choose(family_wallet)
    panel.wait_for("connecting")
    assert family_wallet.info["name"] in panel.spoken
    assert len(family_wallet.calls) == 1


def test_declining_to_connect_is_no_error(panel: ConnectPanel, family_wallet: FamilyWallet) -> None:
    panel.open()
    panel.choose(family_wallet)
    family_wallet.reject()
    panel.wait_for("rejected_connect")
    panel.choose(family_wallet)
    family_wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_declined_signature_is_no_error_and_gets_a_new_text(
    browser: Browser, panel: ConnectPanel, family_wallet: FamilyWallet
) -> None:
    """After the user declines in the wallet, the next request shows a new sign-in text."""
    panel.connect(family_wallet)
    panel.sign()
    before = panel.preview
    family_wallet.reject()
    panel.wait_for("rejected_sign")
    panel.sign()
    assert family_wallet.approve_sign() != before
    browser.arrive_at("/session")


LOCKED: list[tuple[type[FamilyWallet], int]] = [(Leather, 16), (Xverse, -32002), (Solana, 4100)]


@pytest.mark.parametrize(("kind", "code"), LOCKED, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_locked_wallet_is_asked_to_unlock(panel: ConnectPanel, put: Put, kind: Any, code: int) -> None:
    wallet = put(kind)
    panel.open()
    panel.choose(wallet)
    wallet.fail(code)
    panel.wait_for("wallet_locked")
    panel.retry()
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_error_code_means_rejection_only_in_xverse(panel: ConnectPanel, put: Put) -> None:
    """Code -32000 is a failed connection in Leather and a rejection by the user in Xverse."""
    leather, xverse = put(Leather), put(Xverse)
    panel.open()
    panel.choose(leather)
    leather.fail(-32000, "Server error")
    panel.wait_for("connect_failed")
    panel.choose(xverse)
    xverse.fail(-32000, "User rejected")
    panel.wait_for("rejected_connect")


@pytest.mark.parametrize("kind", [Leather, Xverse], ids=lambda kind: kind.__name__)
def test_a_wallet_that_shares_no_stacks_address_says_so(panel: ConnectPanel, put: Put, kind: Any) -> None:
    wallet = put(kind)
    panel.open()
    panel.choose(wallet)
    wallet.answer({"addresses": [{"address": "SM3E3JYN2X3HN7Y9YW6TZ4NT0GJ0T6WPDKW0M1RTF", "publicKey": ""}]})
    panel.wait_for("no_accounts")


def test_an_older_leather_signs_in_too(browser: Browser, put: Put) -> None:
    wallet = put(Leather, methods=["getAddresses", "stx_signMessage"])
    wallet.connects = "getAddresses"
    browser.sign_in(wallet)
    assert session_of(browser)["account"] == wallet.account


def test_unlisted_wallet_at_its_known_path_is_found(panel: ConnectPanel, put: Put) -> None:
    wallet = put(Leather, arrive="unlisted")
    panel.open()
    panel.choose(wallet)
    assert panel.wallets == ["Leather"]
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_a_wallet_that_registers_late_is_listed(panel: ConnectPanel, put: Put) -> None:
    late = put(Solana, arrive="later")
    panel.open()
    panel.wait_for("no_wallet")
    late.arrive()
    panel.wait_for("wallet_list")
    panel.choose(late)
    late.approve_connect()
    panel.wait_for("ready_to_sign")


@pytest.mark.parametrize("kind", [Leather, Solana], ids=lambda kind: kind.__name__)
def test_chosen_account_of_several_signs(
    browser: Browser, panel: ConnectPanel, put: Put, kind: type[FamilyWallet]
) -> None:
    wallet = put(kind)
    wallet.signers = [type(wallet.signers[0])() for _ in range(3)]
    wallet.install()
    panel.connect(wallet, until="choose_account")
    options = [option for option in browser.all("account-option") if option.is_displayed()]
    assert [option.text.split("\n")[0] for option in options] == [signer.address for signer in wallet.signers]
    options[1].click()
    panel.wait_for("ready_to_sign")
    panel.sign()
    wallet.approve_sign(key=wallet.signers[1])
    browser.arrive_at("/session")
    assert session_of(browser)["account"] == wallet.account_of(wallet.signers[1])


def test_an_account_of_the_other_network_can_be_chosen(browser: Browser, panel: ConnectPanel, put: Put) -> None:
    wallet = put(Leather)
    signer = wallet.signers[0]
    panel.open()
    panel.choose(wallet)
    wallet.answer({"addresses": [{"symbol": "STX", "address": each} for each in (signer.address, signer.testnet)]})
    panel.wait_for("choose_account")
    browser.all("account-option")[1].click()
    panel.wait_for("ready_to_sign")
    assert "Chain ID: 2147483648" in panel.preview
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")
    assert session_of(browser)["account"] == signer.account(STACKS_TESTNET)


# -- What must not pass ----------------------------------------------------------------------------------------


def test_signature_reveals_another_active_account_in_leather(browser: Browser, panel: ConnectPanel, put: Put) -> None:
    """The page asks the user to check which account is active in the wallet."""
    wallet = put(Leather)
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign(key=StacksSigner())
    panel.wait_for("bad_signature")
    assert "Check which account is active in your wallet" in panel.error
    panel.retry()
    wallet.approve_connect()
    panel.wait_for("ready_to_sign")


def test_a_signature_over_other_bytes_is_not_sent(panel: ConnectPanel, put: Put) -> None:
    wallet = put(Solana)
    panel.connect(wallet)
    panel.sign()
    request = wallet.next_request("signMessage")
    wallet._settle(request, result=wallet.signed("another text", wallet.signers[0]) | {"signed": "another text"})
    panel.wait_for("sign_failed")
    assert panel.hidden_fields["signature"] == ""


def test_wallet_that_signed_other_bytes_is_not_believed(panel: ConnectPanel, put: Put) -> None:
    """A Solana wallet that changes the bytes it was given gets no signature into the form."""
    wallet = put(Solana, spoils=True)
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    panel.wait_for("sign_failed")
    assert panel.hidden_fields["signature"] == ""


@pytest.mark.parametrize("kind", WALLETS, ids=lambda kind: kind.__name__)
def test_the_signature_of_another_chain_is_refused(
    browser: Browser, panel: ConnectPanel, put: Put, kind: type[FamilyWallet]
) -> None:
    wallet = put(kind)
    panel.connect(wallet)
    foreign = StacksSigner().sign(panel.preview) if kind is Solana else SolanaSigner().sign(panel.preview)
    browser.run(
        "const [signature] = arguments;"
        "HTMLFormElement.prototype.requestSubmit = function () { this.elements.signature.value = signature; "
        "this.submit(); };",
        foreign,
    )
    panel.sign()
    wallet.approve_sign()
    panel.wait_for("signature_unreadable")
    assert browser.run("return document.querySelector('[data-testid=server-code] code').textContent") == (
        "signature_malformed"
    )


HOSTILE = """
{
  const trap = { get() { throw new Error("trap"); } };
  window.btc_providers = [
    null, 7, { id: "constructor", name: "x" }, { id: "__proto__.request", name: "x" }, { id: "Gone", name: "Gone" },
    Object.defineProperty({ name: "x" }, "id", trap),
    { id: "Huge", name: "M".repeat(2 ** 20), icon: "x".repeat(2 ** 20) },
  ];
  window.Huge = { request: () => 7 };
  window.wbip_providers = new Proxy([], trap);
  Object.defineProperty(window, "XverseProviders", trap);
  for (const wallet of [null, {}, new Proxy({}, trap), { chains: ["solana:mainnet"], features: {} }]) {
    const register = ({ register }) => register(wallet);
    window.addEventListener("wallet-standard:app-ready", ({ detail }) => register(detail));
  }
  window.addEventListener("wallet-standard:app-ready", ({ detail }) => {
    for (const name of ["\\u202eevil\\u0000", "x".repeat(2 ** 20)]) {
      const features = { "standard:connect": { connect: () => 7 }, "solana:signMessage": { signMessage: () => 7 } };
      const icon = "https://tracker.example/i.png";
      detail.register({ name, icon, chains: ["solana:mainnet"], features, accounts: [] });
    }
  });
}
"""


def test_hostile_wallets_stay_text_and_the_good_one_works(browser: Browser, panel: ConnectPanel, put: Put) -> None:
    """Wallets with hostile names appear as rows of plain text and fail to connect."""
    with browser.before_scripts(HOSTILE):
        wallet = put(Leather)
        panel.open()
        panel.row(wallet)
        assert sorted(panel.wallets) == sorted(["M" * 39 + "…", "Leather", "evil", "x" * 39 + "…"])
        for row in panel.rows:
            if "Leather" not in row.text:
                row.click()
                panel.wait_for("connect_failed")
        panel.choose(wallet)
        wallet.approve_connect()
        panel.wait_for("ready_to_sign")


# -- Networks --------------------------------------------------------------------------------------------------


class TestOnlyMainnets:
    @pytest.fixture
    def app(self, make_app: Callable[..., Flask]) -> Flask:
        return make_app(SESSIONS_CORE_CHAINS=["eip155:1", "stacks:1", SOLANA])

    @pytest.mark.parametrize(
        ("kind", "config", "number"),
        [
            (Leather, {"chain": STACKS_TESTNET}, "(number 2147483648)"),
            (Xverse, {"chain": STACKS_TESTNET}, "(number 2147483648)"),
            (Solana, {"network": SOLANA_DEVNET, "chains": ("solana:devnet",)}, ""),
        ],
        ids=["Leather", "Xverse", "Solana"],
    )
    def test_wrong_network_tells_the_user_to_switch_in_the_wallet(
        self, browser: Browser, panel: ConnectPanel, put: Put, kind: Any, config: Any, number: str
    ) -> None:
        """These wallets can't be switched by the page: it names the network and offers no switch button."""
        wallet = put(kind, **config)
        panel.connect(wallet, until="wrong_network")
        family = "Solana" if kind is Solana else "Stacks"
        assert f"Switch it to {family} Mainnet." in panel.error
        assert number in panel.error
        assert ("number" in panel.error) is bool(number)
        assert "change the network in the settings of" in panel.error
        assert not any(offer.is_displayed() for offer in browser.all("switch-network"))
        assert browser.shown("message-preview") is None

    def test_leather_is_asked_for_its_address_again(self, browser: Browser, panel: ConnectPanel, put: Put) -> None:
        wallet = put(Leather, chain=STACKS_TESTNET)
        panel.connect(wallet, until="wrong_network")
        wallet.network = "stacks:1"
        wallet._tell("wallet.accounts = value", wallet.shared())
        browser.click("recheck")
        wallet.approve_connect()
        panel.wait_for("ready_to_sign")
        panel.sign()
        wallet.approve_sign()
        browser.arrive_at("/session")
        assert session_of(browser)["account"] == wallet.account

    def test_xverse_reports_a_network_switch_by_itself(self, panel: ConnectPanel, put: Put) -> None:
        wallet = put(Xverse, chain=STACKS_TESTNET)
        panel.connect(wallet, until="wrong_network")
        wallet.network = "stacks:1"
        wallet._tell("wallet.accounts = value; wallet.emit('networkChange')", wallet.shared())
        panel.wait_for("account_switched")
        panel.retry()
        panel.wait_for("ready_to_sign")

    def test_a_network_that_xverse_has_not_granted_is_granted_anew(self, panel: ConnectPanel, put: Put) -> None:
        wallet = put(Xverse, chain=STACKS_TESTNET)
        panel.connect(wallet, until="wrong_network")
        wallet.network = "stacks:1"
        wallet._tell(
            "wallet.connected = false; wallet.accounts = value; wallet.emit('networkChange')", wallet.shared()
        )
        panel.wait_for("wallet_locked")
        panel.retry()
        wallet.approve_connect()
        panel.wait_for("ready_to_sign")


# -- Accounts that change before the signature -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [Xverse, Solana], ids=lambda kind: kind.__name__)
def test_a_new_account_in_the_wallet_is_offered_never_taken(panel: ConnectPanel, put: Put, kind: Any) -> None:
    wallet = put(kind)
    panel.connect(wallet)
    new = wallet.switch_account()
    panel.wait_for("account_switched")
    panel.retry()
    panel.wait_for("ready_to_sign")
    assert new in panel.preview


@pytest.mark.parametrize("kind", [Xverse, Solana], ids=lambda kind: kind.__name__)
def test_a_silent_switch_is_noticed_before_signing(panel: ConnectPanel, put: Put, kind: Any) -> None:
    wallet = put(kind)
    panel.connect(wallet)
    wallet.signers = [type(wallet.signers[0])()]
    wallet._tell("wallet.accounts = value", wallet.shared())
    panel.sign()
    panel.wait_for("address_mismatch")
    assert wallet.waiting == []


@pytest.mark.parametrize("kind", [Xverse, Solana], ids=lambda kind: kind.__name__)
def test_a_wallet_that_takes_its_address_back_is_asked_to_unlock(panel: ConnectPanel, put: Put, kind: Any) -> None:
    wallet = put(kind)
    panel.connect(wallet)
    wallet._tell(f"wallet.connected = false; wallet.emit({'disconnect' if kind is Xverse else 'change'!r})", None)
    panel.wait_for("wallet_locked")


# -- The list --------------------------------------------------------------------------------------------------


def headings(browser: Browser) -> list[str]:
    return [each.text for each in browser.driver.find_elements(By.CSS_SELECTOR, "#connect h3") if each.is_displayed()]


def test_wallets_of_one_chain_need_no_heading(browser: Browser, panel: ConnectPanel, put: Put) -> None:
    put(Leather)
    put(Xverse)
    panel.open()
    panel.wait_for("wallet_list")
    assert panel.wallets == ["Leather", "Xverse Wallet"]
    assert headings(browser) == []
    for row in panel.rows:
        tile = row.find_element(By.CLASS_NAME, "tile")
        browser.wait(lambda tile=tile: tile.get_attribute("data-picture") is not None, "its picture was not drawn")


def test_wallets_of_several_chains_are_grouped_by_chain(
    browser: Browser, panel: ConnectPanel, put: Put, wallet: WalletInPage
) -> None:
    put(Solana)
    put(Leather)
    panel.open()
    panel.wait_for("wallet_list")
    browser.wait(lambda: len(panel.rows) == 3)
    assert panel.wallets == ["Test Wallet", "Leather", "Phantom"]
    assert headings(browser) == ["Ethereum", "Stacks", "Solana"]


def test_a_chain_that_is_not_accepted_has_no_wallets(
    browser: Browser, panel: ConnectPanel, put: Put, make_app: Callable[..., Flask], site: Any
) -> None:
    put(Leather)
    put(Solana)
    site.app = make_app(SESSIONS_CORE_CHAINS=["stacks:1"])
    panel.open()
    panel.wait_for("wallet_list")
    assert panel.wallets == ["Leather"]


def test_last_used_wallet_is_first_until_sign_out(
    browser: Browser, panel: ConnectPanel, put: Put, wallet: WalletInPage
) -> None:
    solana = put(Solana)
    put(Leather)
    browser.sign_in(solana)
    panel.open(again="1")
    browser.wait(lambda: len(panel.rows) == 3)
    assert panel.wallets[0] == "Phantom"
    assert headings(browser) == ["Solana", "Ethereum", "Stacks"]
    last = browser.see("wallet-last").find_element(By.XPATH, "ancestor::button")
    assert last.get_attribute("data-wallet-id") == solana.id
    browser.driver.refresh()
    browser.wait(lambda: len(panel.rows) == 3)
    assert panel.wallets[0] == "Phantom"
    browser.open("/session")
    browser.follow("sign-out")
    browser.wait(
        lambda: browser.run("return localStorage.getItem('wallet-session-last')") is None, "still remembered"
    )
    panel.open()
    browser.wait(lambda: len(panel.rows) == 3)
    assert panel.wallets[0] == "Test Wallet"
    assert browser.shown("wallet-last") is None


def test_retry_picks_the_last_used_of_two_same_named_wallets(
    panel: ConnectPanel, put: Put, make_wallet: Callable[..., WalletInPage]
) -> None:
    """Two wallet families both offer a "Phantom"; trying again uses the one the user chose."""
    make_wallet("Phantom")
    solana = put(Solana, "Phantom")
    panel.connect(solana)
    panel.sign()
    solana.approve_sign(key=SolanaSigner())
    panel.wait_for("bad_signature")
    panel.browser.wait(lambda: len(panel.rows) == 2)
    panel.retry()
    panel.wait_for("ready_to_sign")
    assert solana.calls == ["connect"]


def test_without_a_wallet_each_accepted_chain_has_a_link(
    browser: Browser, panel: ConnectPanel, make_app: Callable[..., Flask], site: Any
) -> None:
    panel.open()
    panel.wait_for("no_wallet")
    links = browser.see("install-links").find_elements(By.TAG_NAME, "a")
    names = [link.text.split("\n")[0] for link in links]
    assert names == ["MetaMask", "Rabby", "Coinbase Wallet", "Leather", "Xverse", "Phantom"]
    assert all("noreferrer" in str(link.get_attribute("rel")) for link in links)
    assert headings(browser) == ["Ethereum", "Stacks", "Solana"]
    site.app = make_app(SESSIONS_CORE_CHAINS=["stacks:1"])
    panel.open()
    panel.wait_for("no_wallet")
    links = browser.see("install-links").find_elements(By.TAG_NAME, "a")
    assert [link.text.split("\n")[0] for link in links] == ["Leather", "Xverse"]
    assert headings(browser) == []


def test_wallet_list_and_wrong_network_pass_axe(
    browser: Browser, panel: ConnectPanel, put: Put, wallet: WalletInPage, check: Callable[[str], None],
    make_app: Callable[..., Flask], site: Any,
) -> None:  # fmt: skip
    """Axe finds no barrier in a list with several chains, nor on the page for a wrong network."""
    leather = put(Leather, chain=STACKS_TESTNET)
    site.app = make_app(SESSIONS_CORE_CHAINS=["eip155:1", "stacks:1"])
    panel.open()
    browser.wait(lambda: len(panel.rows) == 2)
    check("several chains")
    panel.choose(leather)
    leather.approve_connect()
    panel.wait_for("wrong_network")
    check("wrong network")


# -- Confirming ------------------------------------------------------------------------------------------------


def test_the_wallet_of_the_session_confirms(
    browser: Browser,
    family_wallet: FamilyWallet,
    elsewhere: Elsewhere,
    pass_time: TimeMachine,
    services: Services,
) -> None:
    other = elsewhere.sign_in(family_wallet, FIREFOX)
    browser.enter(family_wallet)
    pass_time(301)
    panel = ask_to_end(browser)
    panel.start()
    text = family_wallet.approve_sign()
    assert f"Sign out [Firefox on Linux] ({other[:9]})." in text
    assert browser.see("message").text == "Firefox on Linux is signed out."
    assert services.repository.find_living(str(account_of(family_wallet)), other) is None


def test_declining_to_confirm_changes_nothing(
    browser: Browser, family_wallet: FamilyWallet, elsewhere: Elsewhere, pass_time: TimeMachine, services: Services
) -> None:
    other = elsewhere.sign_in(family_wallet, FIREFOX)
    browser.enter(family_wallet)
    pass_time(301)
    panel = ask_to_end(browser)
    panel.start()
    panel.wait_for("signing")
    family_wallet.reject()
    panel.wait_for("rejected")
    assert services.repository.find_living(str(account_of(family_wallet)), other) is not None


def test_another_account_in_the_wallet_confirms_nothing(
    browser: Browser, family_wallet: FamilyWallet, elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    elsewhere.sign_in(family_wallet, FIREFOX)
    browser.enter(family_wallet)
    family_wallet.signers = [type(family_wallet.signers[0])()]
    family_wallet.install()
    pass_time(301)
    panel = ask_to_end(browser)
    panel.start()
    if isinstance(family_wallet, Leather):  # only its signature tells
        family_wallet.approve_sign()
        assert panel.browser.see("confirm-problem").text.startswith("The signature is from another account")
        assert panel.problem == "signature_mismatch"
    else:
        panel.wait_for("address_mismatch")
    assert family_wallet.waiting == []


def test_leather_opens_one_window_to_confirm(
    browser: Browser, put: Put, elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    """It connects only if it refuses to sign without, and at the second click."""
    leather = put(Leather)
    elsewhere.sign_in(leather, FIREFOX)
    browser.enter(leather)
    pass_time(301)
    panel = ask_to_end(browser)
    panel.start()
    panel.wait_for("signing")
    assert leather.waiting == ["stx_signMessage"]
    leather.fail(16)
    panel.wait_for("failed", "locked")
    assert "allow this site" in panel.error
    panel.start()
    leather.approve_connect()
    leather.approve_sign()
    assert browser.see("message").text == "Firefox on Linux is signed out."


def test_a_wallet_of_another_family_is_not_asked_to_confirm(
    browser: Browser, put: Put, wallet: WalletInPage, elsewhere: Elsewhere, pass_time: TimeMachine
) -> None:
    leather = put(Leather)
    elsewhere.sign_in(leather, FIREFOX)
    browser.enter(leather)
    leather.uninstall()
    pass_time(301)
    panel = ask_to_end(browser)
    panel.start()
    panel.wait_for("no_wallet")
    assert wallet.calls == []


# -- In a session ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Xverse, Solana], ids=lambda kind: kind.__name__)
def test_other_active_account_is_noticed_in_a_session(browser: Browser, put: Put, kind: type[FamilyWallet]) -> None:
    wallet = put(kind)
    browser.enter(wallet)
    wait_for(browser, "watching")
    own = wallet.address
    new = wallet.switch_account()
    wait_for(browser, "account_changed")
    assert short(new) in browser.see("account-changed").text
    assert short(own) in browser.see("account-changed").text
    browser.click("keep-account")
    wait_for(browser, "watching")
    assert wallet.waiting == []


def test_another_network_of_xverse_is_another_address(browser: Browser, put: Put) -> None:
    wallet = put(Xverse)
    browser.enter(wallet)
    wait_for(browser, "watching")
    wallet.network = STACKS_TESTNET
    wallet._tell("wallet.accounts = value; wallet.emit('networkChange')", wallet.shared())
    wait_for(browser, "account_changed")
    assert short(wallet.address) in browser.see("account-changed").text


def test_leather_leaves_the_watch_quiet(browser: Browser, put: Put) -> None:
    wallet = put(Leather)
    browser.enter(wallet)
    wait_for(browser, "watching")
    wallet.switch_account()
    turn(browser, hidden=True)
    turn(browser, hidden=False)
    browser.open("/")
    wait_for(browser, "watching")
    assert notices(browser) == []
    assert wallet.calls == []


@pytest.mark.parametrize("kind", [Xverse, Solana], ids=lambda kind: kind.__name__)
def test_no_event_opens_a_window_of_the_wallet(browser: Browser, put: Put, kind: type[FamilyWallet]) -> None:
    wallet = put(kind)
    browser.enter(wallet)
    wait_for(browser, "watching")
    wallet.switch_account()
    wait_for(browser, "account_changed")
    wallet.connected = False
    wallet.install()
    browser.open("/")
    wait_for(browser, "watching")
    turn(browser, hidden=True)
    turn(browser, hidden=False)
    assert state(browser) == "watching"
    assert set(wallet.calls) <= {"wallet_getAccount"}
    assert wallet.waiting == []
