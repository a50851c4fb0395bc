"""Signatures in every spelling that wallets use, and questions that wallets answer wrongly.

What a wallet answers to a question is a hint: only a clear "another account" stops anybody. The server judges the
signature, which it takes in one spelling, so the page writes it in that one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_account import Account

from .families_in_page import Leather, Solana, Xverse
from .pages import Browser, ConnectPanel
from .step_up import ask_to_end
from .wallet_in_page import MakeWallet, WalletInPage

# -- Spellings -----------------------------------------------------------------------------------------------------

# How the page's own script makes the answer of the wallet from `text`, 0x and 130 hex digits, and its `bytes`.
FORMS = {
    "without 0x": "text.slice(2)",
    "0X": "'0X' + text.slice(2)",
    "capitals": "'0x' + text.slice(2).toUpperCase()",
    "a line feed": "text + '\\n'",
    "blanks": "'  ' + text + ' \\r\\n'",
    "a JSON-RPC answer": "({ jsonrpc: '2.0', id: 1, result: text })",
    "in an object": "({ signature: text })",
    "in an object in an answer": "({ result: { signature: text } })",
    "in a list": "[text]",
    "bytes": "bytes",
    "a buffer": "bytes.buffer",
    "part of a buffer": "new Uint8Array([9, ...bytes, 9]).subarray(1, 66)",
    "numbers": "Array.from(bytes)",
    "a Buffer through JSON": "({ type: 'Buffer', data: Array.from(bytes) })",
    "bytes of another realm": "new realm.Uint8Array(bytes)",
    "a buffer of another realm": "new realm.Uint8Array(bytes).buffer",
    "compact": "compact",
    "compact bytes": "Uint8Array.from(compact.slice(2).match(/../g), (two) => parseInt(two, 16))",
    "v as 0 or 1": "text.slice(0, -2) + (parseInt(text.slice(-2), 16) - 27).toString(16).padStart(2, '0')",
}
ANSWER = """
    const text = value.signature, bytes = Uint8Array.from(text.slice(2).match(/../g), (two) => parseInt(two, 16));
    const high = BigInt(parseInt(text.slice(-2), 16) - 27) << 255n;
    const compact = text.slice(0, 66) + (BigInt('0x' + text.slice(66, 130)) | high).toString(16).padStart(64, "0");
    const realm = (document.querySelector("iframe") ?? document.body.appendChild(document.createElement("iframe")))
      .contentWindow;
    wallet.open.get(value.number).resolve(%s);
"""


def answer(wallet: WalletInPage, form: str) -> None:
    request = wallet.next_request("personal_sign")
    _, signature = wallet._sign(request, wallet.keys[0])
    wallet._tell(ANSWER % form, {"number": request["number"], "signature": signature})


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_good_signature_signs_in_however_it_is_spelled(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage, form: str
) -> None:
    panel.connect(wallet)
    panel.sign()
    answer(wallet, form)
    browser.arrive_at("/session")


def test_compact_signatures_of_both_parities_expand(page: Browser) -> None:
    """The two examples of EIP-2098 itself."""
    r = "68a020a209d3d56c46f38cc50a33f704f4a9a10a59377f8dd762ac66910e9b90"
    s = "7e865ad05c4035ab5792787d4a0297a43617ae897930a6fe4d822b8faea52064"
    other_r = "9328da16089fcba9bececa81663203989f2df5fe1faa6291a45381c81bd17f76"
    other_vs = "939c6d6b623b42da56557e5e734a43dc83345ddfadec52cbe24d0cc64f550793"
    other_s = "1" + other_vs[1:]
    sign = "module.sign({ request: async () => given[0] }, 'x', '0x')"
    assert page.module("eip155", sign, f"0x{r}{s}") == f"0x{r}{s}1b"
    assert page.module("eip155", sign, f"0x{other_r}{other_vs}") == f"0x{other_r}{other_s}1c"


UNREADABLE = [None, "", "signed", "0xabc", "0x" + "zz" * 65, {}, {"result": None}, [], 7, True]


@pytest.mark.parametrize("said", UNREADABLE, ids=repr)
def test_an_answer_that_is_no_signature_has_its_own_words(
    panel: ConnectPanel, wallet: WalletInPage, said: Any
) -> None:
    panel.connect(wallet)
    panel.sign()
    wallet.answer(said)
    panel.wait_for("signature_unreadable")
    assert panel.hidden_fields["signature"] == ""
    assert "signature has a form that we don’t know" in panel.error
    panel.retry()
    panel.wait_for("ready_to_sign")


def test_a_form_that_the_server_refuses_is_not_a_wrong_account(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    panel.sign()
    wallet.answer("0x" + "00" * 65)
    panel.wait_for("signature_unreadable")
    assert "account" not in panel.error.split("\n")[1]


def test_wrong_signer_is_explained(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign(key=Account.create())
    panel.wait_for("bad_signature")
    assert "doesn’t match this account" in panel.error


@pytest.fixture
def solana(browser: Browser) -> Iterator[Solana]:
    wallet = Solana(browser.driver, answers="raw")
    yield wallet
    wallet.uninstall()


SOLANA_FORMS = {
    "of another realm": (
        "[{ signedMessage: new realm.Uint8Array(message), signature: new realm.Uint8Array(signature) }]"
    ),
    "buffers": "[{ signedMessage: message.buffer, signature: signature.buffer }]",
    "numbers": "[{ signedMessage: Array.from(message), signature: Array.from(signature) }]",
    "no list": "({ signedMessage: message, signature })",
}


@pytest.mark.parametrize("form", SOLANA_FORMS.values(), ids=SOLANA_FORMS)
def test_solana_bytes_of_any_kind_sign_in(browser: Browser, panel: ConnectPanel, solana: Solana, form: str) -> None:
    panel.connect(solana)
    panel.sign()
    request = solana.next_request("signMessage")
    signed = solana.signed(solana.text_of(request), solana.signer_of(request))
    solana._tell(
        "const realm = document.body.appendChild(document.createElement('iframe')).contentWindow;"
        "const message = new TextEncoder().encode(value.text), signature = Uint8Array.from(value.signature);"
        f"wallet.settle(value.number, {{ result: {form} }})",
        {"number": request["number"], "text": solana.text_of(request), **signed},
    )
    browser.arrive_at("/session")


STACKS_FORMS = {
    "with 0x": "({ signature: '0x' + value.signature })",
    "a line feed": "({ signature: value.signature + '\\n' })",
    "capitals": "({ signature: value.signature.toUpperCase() })",
    "alone": "value.signature",
    "bytes": "({ signature: Uint8Array.from(value.signature.match(/../g), (two) => parseInt(two, 16)) })",
}


@pytest.mark.parametrize("kind", [Leather, Xverse])
@pytest.mark.parametrize("form", STACKS_FORMS.values(), ids=STACKS_FORMS)
def test_stacks_signatures_of_any_spelling_sign_in(
    browser: Browser, panel: ConnectPanel, kind: Any, form: str
) -> None:
    wallet = kind(browser.driver)
    try:
        panel.connect(wallet)
        panel.sign()
        request = wallet.next_request("stx_signMessage")
        signed = wallet.signed(wallet.text_of(request), wallet.signer_of(request))
        wallet._tell(f"wallet.settle(value.number, {{ result: {form} }})", {"number": request["number"], **signed})
        browser.arrive_at("/session")
    finally:
        wallet.uninstall()


# -- Hints ---------------------------------------------------------------------------------------------------------

UNHELPFUL: dict[str, dict[str, Any]] = {
    "no accounts": {"eth_accounts": {"result": []}},
    "not allowed": {"eth_accounts": {"error": {"code": 4100, "message": "Unauthorized"}}},
    "unsupported": {"eth_accounts": {"error": {"code": -32601, "message": "Method not found"}}},
    "nonsense": {"eth_accounts": {"result": "nonsense"}},
    "no network either": {
        "eth_accounts": {"error": {"code": 4200, "message": ""}},
        "eth_chainId": {"error": {"code": 4200, "message": ""}},
    },
}


@pytest.mark.parametrize("quirks", UNHELPFUL.values(), ids=UNHELPFUL)
def test_unhelpful_wallet_answer_does_not_block_sign_in(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet, quirks: dict[str, Any]
) -> None:
    wallet = make_wallet(quirks=quirks)
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_unanswered_wallet_question_does_not_block_sign_in(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet
) -> None:
    wallet = make_wallet(deaf=("eth_accounts",))
    panel.connect(wallet)
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_a_clear_other_account_stops(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    wallet.switch_account_silently()
    panel.sign()
    panel.wait_for("address_mismatch")
    assert "personal_sign" not in wallet.calls


def test_a_solana_wallet_that_lists_no_accounts_signs_in(browser: Browser, panel: ConnectPanel) -> None:
    wallet = Solana(browser.driver, forgetful=True)
    try:
        panel.connect(wallet)
        panel.sign()
        wallet.approve_sign()
        browser.arrive_at("/session")
    finally:
        wallet.uninstall()


# -- Another account of the same wallet ----------------------------------------------------------------------------


def test_another_account_of_the_same_wallet_signs_in(
    browser: Browser, panel: ConnectPanel, wallet: WalletInPage
) -> None:
    """The wallet answers `eth_requestAccounts` from its permission, without a window."""
    panel.connect(wallet)
    first = wallet.address
    assert browser.see("another-of-wallet").text == "Use another account of “Test Wallet”"
    browser.click("another-of-wallet")
    panel.wait_for("connecting")
    wallet.approve_another_account()
    panel.wait_for("ready_to_sign")
    assert wallet.address in panel.preview
    assert first not in panel.preview
    panel.sign()
    wallet.approve_sign()
    browser.arrive_at("/session")


def test_declining_to_share_another_leaves_the_first(panel: ConnectPanel, wallet: WalletInPage) -> None:
    panel.connect(wallet)
    panel.browser.click("another-of-wallet")
    wallet.reject()
    panel.wait_for("rejected_connect")
    panel.choose(wallet)
    panel.wait_for("ready_to_sign")


def test_a_wallet_without_permissions_is_connected_again(panel: ConnectPanel, make_wallet: MakeWallet) -> None:
    wallet = make_wallet(quirks={"wallet_requestPermissions": {"error": {"code": -32601, "message": ""}}})
    panel.connect(wallet)
    panel.browser.click("another-of-wallet")
    panel.wait_for("ready_to_sign")


def test_a_second_account_of_the_wallet_can_be_linked(browser: Browser, wallet: WalletInPage) -> None:
    browser.enter(wallet)
    browser.open("/session/wallets/link")
    panel = ConnectPanel(browser)
    panel.choose(wallet)
    panel.wait_for("account_linked")
    browser.click("link-another-of-wallet")
    wallet.approve_another_account()
    panel.wait_for("ready_to_sign")
    assert wallet.address in panel.preview


def test_confirming_can_ask_for_the_right_account(
    browser: Browser, wallet: WalletInPage, elsewhere: Any, pass_time: Any
) -> None:
    own = wallet.keys
    elsewhere.sign_in(wallet)
    browser.enter(wallet)
    pass_time(301)
    wallet.switch_account_silently()
    confirm = ask_to_end(browser)
    confirm.start()
    confirm.wait_for("address_mismatch")
    browser.click("confirm-share")
    wallet.approve_another_account(own)
    wallet.approve_sign()
    browser.see("message")


# -- One spelling of addresses -------------------------------------------------------------------------------------


def test_checksums_are_those_of_the_chain(page: Browser) -> None:
    addresses = [Account.create().address for _ in range(50)]
    addresses += [
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    ]  # ERC-55
    spelled = [each if number % 2 else each.lower() for number, each in enumerate(addresses)]
    assert page.module("checksum", "given[0].map(module.checksummed)", spelled) == addresses


def test_the_accounts_to_choose_from_are_checksummed(
    browser: Browser, panel: ConnectPanel, make_wallet: MakeWallet
) -> None:
    wallet = make_wallet(accounts=3)
    panel.connect(wallet, until="choose_account")
    shown = [option.text.split("\n")[0] for option in browser.all("account-option")]
    assert shown == [key.address for key in wallet.keys]
