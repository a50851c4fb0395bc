"""What people and clients are told, for each way in which asking a contract about a signature can end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from sessions_core import events
from sessions_core.parts.contract_wallets.proof import PROOF
from sessions_core.web.services import Services

from ...actors import ApiClient, Visitor, Wallet
from ...answers import code_on_page as code_of
from ...evm import CHAIN, Anvil
from ...evm.contracts import (
    APPROVING,
    HANDLERLESS,
    REFUSING,
    ApprovingWallet,
    ContractWallet,
    answers,
    creation,
    wrapped,
)
from ...evm.nodes import Relay
from ...stored import live_of
from ...time_machine import TimeMachine

NOT_ASKED = "eip155:1"
"""A network that the site accepts, and has no RPC URL for."""


@pytest.fixture
def overrides(overrides: dict[str, Any], node: Relay) -> dict[str, Any]:
    return overrides | {
        "SESSIONS_CORE_CHAINS": (NOT_ASKED, CHAIN),
        "SESSIONS_CORE_RPC_URLS": {CHAIN: node.url},
        "SESSIONS_CORE_RPC_TIMEOUT_MS": 10_000,
    }


class Deployed:
    """An account that is a contract of this code; its owner signs with a key."""

    def __init__(self, evm: Anvil, code: bytes) -> None:
        self.address = evm.deploy(creation(code))
        self.key = Wallet()

    def sign(self, message: str) -> str:
        return self.key.sign(message)


def told(visitor: Visitor, account: str, signature: Callable[[str], str]) -> tuple[int, str, str]:
    """Sign in, and return the status, the error's code and the page."""
    challenge = visitor.challenge(account)
    response = visitor.post(
        "/sign-in",
        data={
            "csrf_token": visitor.token(),
            "message": challenge["message"],
            "challenge": challenge["challenge"],
            "signature": signature(challenge["message"]),
        },
    )
    assert not visitor.signed_in
    return response.status_code, code_of(response), response.get_data(as_text=True)


# -- An empty signature ------------------------------------------------------------------------------------------


def test_a_safe_signs_in_with_an_approval_on_chain(
    visitor: Visitor, evm: Anvil, services: Services, pass_time: TimeMachine
) -> None:
    safe = ApprovingWallet(evm)
    visitor.sign_in(safe)
    assert visitor.get("/session").status_code == 200
    proof = PROOF.of(live_of(services, visitor).record)
    assert proof.message
    assert proof.signature == b""
    # And is asked about again, like any other.
    pass_time(16 * 60)
    assert visitor.get("/session").status_code == 200
    evm.ask("anvil_setCode", safe.address, "0x" + HANDLERLESS.hex())
    pass_time(16 * 60)
    assert visitor.get("/session").status_code == 303


def test_a_safe_without_the_approval_is_refused(visitor: Visitor, evm: Anvil) -> None:
    safe = ApprovingWallet(evm)
    status, code, page = told(visitor, safe.account(), lambda _: "0x")
    assert (status, code) == (400, "contract_wallet_refused")
    assert 'data-state="contract_refused"' in page
    # Nor does the approval of one text stand for another.
    safe.approve("another text")
    assert told(visitor, safe.account(), lambda _: "0x")[:2] == (400, "contract_wallet_refused")


def test_an_empty_signature_proves_no_key(visitor: Visitor, wallet: Wallet, evm: Anvil) -> None:
    status, code, page = told(visitor, wallet.account(CHAIN), lambda _: "0x")
    assert (status, code) == (400, "contract_wallet_missing")
    assert 'data-state="contract_missing"' in page
    status, code, page = told(visitor, wallet.account(NOT_ASKED), lambda _: "0x")
    assert (status, code) == (400, "contract_wallet_unsupported")
    assert 'data-state="contract_wallet"' in page


@pytest.mark.parametrize("signature", ["", "0", "0X", "0x0", " 0x", "0x\n", "null"])
def test_empty_signature_has_one_spelling(visitor: Visitor, evm: Anvil, signature: str) -> None:
    safe = ApprovingWallet(evm)

    def approve(message: str) -> str:
        safe.approve(message)
        return signature

    assert told(visitor, safe.account(), approve)[:2] == (400, "signature_malformed")


# -- What a contract says --------------------------------------------------------------------------------------


def test_safe_without_a_fallback_handler_is_explained(visitor: Visitor, evm: Anvil) -> None:
    safe = Deployed(evm, HANDLERLESS)
    for signature in (safe.sign, lambda _: "0x", lambda text: safe.sign(text) + "11" * 65):
        status, code, page = told(visitor, f"{CHAIN}:{safe.address}", signature)
        assert (status, code) == (400, "contract_wallet_silent")
        assert 'data-state="contract_silent"' in page
        assert "fallback handler" in page


def test_a_wrapped_signature_does_not_hide_the_silence(visitor: Visitor, evm: Anvil) -> None:
    """The factory fails, as the contract is deployed already; what it says is not what the wallet says."""
    safe = Deployed(evm, HANDLERLESS)
    for factory in ("a revert", "a revert with a megabyte"):
        place = evm.deploy(creation(REFUSING[factory]))
        signature = lambda text, place=place: wrapped(place, b"", safe.sign(text))  # noqa: E731
        assert told(visitor, f"{CHAIN}:{safe.address}", signature)[1] == "contract_wallet_silent"
    # Nor does a factory that says nothing silence a wallet that says no.
    no = Deployed(evm, APPROVING)
    place = evm.deploy(creation(REFUSING["a revert"]))
    assert told(visitor, f"{CHAIN}:{no.address}", lambda text: wrapped(place, b"", no.sign(text)))[1] == (
        "contract_wallet_refused"
    )


def test_a_contract_that_says_no_is_not_a_wrong_account(visitor: Visitor, evm: Anvil) -> None:
    for wallet in (ContractWallet(evm).deploy(), Deployed(evm, answers("ffffffff"))):
        status, code, page = told(visitor, f"{CHAIN}:{wallet.address}", Wallet().sign)
        assert (status, code) == (400, "contract_wallet_refused")
        assert 'data-state="contract_refused"' in page


def test_wallet_of_another_network_is_explained(visitor: Visitor, evm: Anvil) -> None:
    wallet = Wallet()  # nothing is deployed at its address
    status, code, page = told(visitor, wallet.account(CHAIN), lambda text: wallet.sign(text) + "11" * 65)
    assert (status, code) == (400, "contract_wallet_missing")
    assert "Switch to the network where your wallet is set up" in page


# -- Nobody to ask ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [lambda text: text, lambda text: text[:-2] + "1f", lambda text: text[:-2]])
def test_without_a_node_a_key_s_length_is_no_verdict(
    visitor: Visitor, evm: Anvil, happened: list[events.Event], change: Callable[[str], str]
) -> None:
    """The one owner of a Safe signs with 65 bytes, whose last is 31 or 32 if it is not the text's own hash."""
    safe = ContractWallet(evm).deploy()
    status, code, page = told(visitor, safe.account(NOT_ASKED), lambda text: change(safe.sign(text)))
    assert (status, code) in ((400, "signature_mismatch"), (400, "signature_malformed"))
    assert "If it is a smart-contract wallet" in page
    assert [event.code for event in happened if isinstance(event, events.SignInFailed)] == [code]


def test_a_node_that_is_down_leaves_the_account_in_doubt(visitor: Visitor, wallet: Wallet, node: Relay) -> None:
    """A key signs for another account: only the network knows that this one is no contract."""
    node.down = True
    status, code, page = told(visitor, wallet.account(CHAIN), Wallet().sign)
    assert (status, code) == (503, "rpc_unavailable")
    assert "Check which account is active in your wallet" in page
    assert "nothing is wrong with your wallet" not in page
    node.down = False
    status, code, page = told(visitor, wallet.account(CHAIN), Wallet().sign)
    assert (status, code) == (400, "signature_mismatch")


def test_activity_log_explains_a_contracts_refusal(visitor: Visitor, evm: Anvil) -> None:
    safe = ApprovingWallet(evm)
    visitor.sign_in(safe)
    visitor.sign_out()
    told(visitor, safe.account(), lambda _: "0x")
    visitor.sign_in(safe)
    page = visitor.get("/activity").get_data(as_text=True)
    assert "the account is a smart contract, which did not accept the signature" in page


# -- Clients ---------------------------------------------------------------------------------------------------


def test_a_client_signs_in_with_an_empty_signature(app: Flask, evm: Anvil) -> None:
    safe = ApprovingWallet(evm)
    client = ApiClient(app)
    assert client.sign_in(safe)["account"].lower() == safe.account().lower()


def test_an_approval_on_chain_confirms_an_action(visitor: Visitor, evm: Anvil, pass_time: TimeMachine) -> None:
    safe = ApprovingWallet(evm)
    visitor.sign_in(safe)
    pass_time(6 * 60)
    refusal = visitor.send("POST", "/sessions/others")
    assert refusal.get_json()["error"]["code"] == "step_up_required"
    done = visitor.send("POST", "/sessions/others", headers=visitor.proof(safe, refusal))
    assert done.status_code in (200, 303), done.get_data(as_text=True)
