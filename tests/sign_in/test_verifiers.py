"""All chains together: a challenge for each, signed by its own library; and nothing of one good for another."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Protocol

import pytest
from flask import Flask
from redis import Redis

from sessions_core.errors import (
    AccountKeyless,
    AccountMalformed,
    ChainUnsupported,
    MessageChanged,
    MessageMalformed,
    SessionsError,
    SignatureMalformed,
    SignatureMismatch,
    SignInRefused,
)
from sessions_core.parts.internet_computer import canisters
from sessions_core.parts.internet_computer.errors import (
    CanisterSignatureUnsupported,
    DelegationExpired,
    DelegationRestricted,
    KeyMalformed,
)
from sessions_core.parts.internet_computer.verifier import account_of_key
from sessions_core.settings import Settings
from sessions_core.sign_in import accounts, messages, verifiers
from sessions_core.sign_in.accounts import Account
from sessions_core.sign_in.challenges import Challenge, Challenges
from sessions_core.web.services import Services

from ..actors import ORIGIN, Visitor
from ..canister_signatures import canister_key
from ..chain_contract import NOW, verify
from ..constants import BROWSER
from ..signers import ICP, SOLANA, SOLANA_DEVNET, EthereumSigner, IcpSigner, SolanaSigner, StacksSigner, ask
from ..snapshot import unchanged
from ..time_machine import Clock


class Signer(Protocol):
    @property
    def address(self) -> str: ...
    def account(self, chain: str = ...) -> str: ...
    def sign(self, message: str) -> str: ...


SIGNERS: dict[str, Callable[[], Signer]] = {
    "eip155": EthereumSigner,
    "stacks": StacksSigner,
    "solana": SolanaSigner,
    "icp": IcpSigner,
}
NETWORKS = [
    ("eip155:1", "mainnet"),
    ("eip155:11155111", "testnet"),
    ("stacks:1", "mainnet"),
    ("stacks:2147483648", "testnet"),
    (SOLANA, "mainnet"),
    (SOLANA_DEVNET, "testnet"),
    ("solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z", "testnet"),
    (ICP, "mainnet"),
]


@pytest.fixture
def challenges(services: Services) -> Challenges:
    return services.challenges


def refused(error: type[SessionsError], attempt: Callable[[], object]) -> None:
    with pytest.raises(SessionsError) as caught:
        attempt()
    assert type(caught.value) is error, caught.value


def test_every_verifier_is_tested_here_and_every_chain_has_one() -> None:
    assert set(SIGNERS) == {chain.partition(":")[0] for chain in accounts.CHAINS}
    assert {layout.account_kind for layout in verifiers.layouts()} == {
        verifiers.verifier(namespace).layout.account_kind for namespace in SIGNERS
    }
    for namespace in SIGNERS:
        assert verifiers.namespace_of(verifiers.verifier(namespace).layout.account_kind) == namespace


def test_every_chain_may_sign_in_unless_the_site_says_otherwise() -> None:
    missing = set(accounts.CHAINS) - set(Settings(secrets=("unused",)).chains)
    assert missing == {"eip155:100", "eip155:84532", "eip155:31337"}


# -- A challenge for each ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chain", "network"), NETWORKS)
def test_a_challenge_of_every_chain_proves_its_account(challenges: Challenges, chain: str, network: str) -> None:
    signer = SIGNERS[chain.partition(":")[0]]()
    issued = challenges.issue(signer.account(chain), BROWSER)
    assert str(issued.account) == signer.account(chain)
    account = challenges.redeem(issued.message, issued.challenge, signer.sign(issued.message), BROWSER).account
    assert (str(account), account.chain.network) == (signer.account(chain), network)
    assert len(issued.challenge) < 600
    assert len(issued.message) < 800


@pytest.mark.parametrize(("chain", "network"), NETWORKS)
def test_a_person_signs_in_through_the_form_with_every_chain(app: Flask, chain: str, network: str) -> None:
    signer, visitor = SIGNERS[chain.partition(":")[0]](), Visitor(app)
    challenge = visitor.challenge(signer.account(chain))
    response = visitor.attempt(signer, challenge)  # type: ignore[arg-type]  # it signs as a wallet does
    assert response.status_code == 303, response.get_data(as_text=True)
    state = visitor.json("/api/auth/sessions/validate").get_json()["data"]
    assert (state["account"], state["network"]) == (signer.account(chain), network)
    assert ("transact" in state["permissions"]) is (network == "mainnet")
    assert ("test-only" in state["permissions"]) is (network == "testnet")
    page = visitor.get("/session").get_data(as_text=True)
    assert signer.account(chain).rpartition(":")[2] in page


@pytest.mark.parametrize("namespace", SIGNERS)
def test_a_confirmation_of_every_chain_proves_its_account(challenges: Challenges, namespace: str) -> None:
    signer = SIGNERS[namespace]()
    account = accounts.parse(signer.account())
    issued = challenges.issue_confirmation(account, "Pay invoice 7.", "binding")
    assert "\nRequest ID: " in issued.message
    signature = signer.sign(issued.message)
    assert challenges.redeem(issued.message, issued.challenge, signature, "binding", "confirm").account == account


@pytest.mark.parametrize("namespace", SIGNERS)
def test_every_chain_has_the_origin_in_its_text(
    make_app: Callable[..., Flask], challenges: Challenges, namespace: str
) -> None:
    """With the scheme where the wallets of the chain know it: those of Solana take `domain` for the host alone."""
    signer = SIGNERS[namespace]()
    development = challenges.issue(signer.account(), BROWSER).message
    scheme = "" if namespace == "solana" else "http://"
    assert development.startswith(f"{scheme}localhost:5000 wants you to sign in with your ")
    assert f"\nURI: {ORIGIN}/\n" in development
    production = make_app(SESSIONS_CORE_DEVELOPMENT=False, SESSIONS_CORE_PUBLIC_ORIGIN="https://app.example.org")
    services: Services = production.extensions["sessions_core"]
    issued = services.challenges.issue(signer.account(), BROWSER)
    assert issued.message.startswith("app.example.org wants you to sign in with your ")
    services.challenges.redeem(issued.message, issued.challenge, signer.sign(issued.message), BROWSER)


@pytest.mark.parametrize("namespace", SIGNERS)
def test_a_chain_that_is_not_enabled_gets_no_challenge(make_app: Callable[..., Flask], namespace: str) -> None:
    others = tuple(chain for chain, _ in NETWORKS if not chain.startswith(namespace))
    services: Services = make_app(SESSIONS_CORE_CHAINS=others).extensions["sessions_core"]
    refused(ChainUnsupported, lambda: services.challenges.issue(SIGNERS[namespace]().account(), BROWSER))


@pytest.mark.parametrize("namespace", SIGNERS)
def test_too_long_signature_is_refused_before_nonce_is_consumed(
    challenges: Challenges, redis: Redis, namespace: str
) -> None:
    """Each chain has its own maximum length."""
    signer = SIGNERS[namespace]()
    issued = challenges.issue(signer.account(), BROWSER)
    most = verifiers.verifier(namespace).max_signature
    with unchanged(redis):
        for length in (most + 1, verifiers.max_signature() + 1, 10**7):
            refused(
                SignatureMalformed,
                lambda length=length: challenges.redeem(issued.message, issued.challenge, "0" * length, BROWSER),
            )
    challenges.redeem(issued.message, issued.challenge, signer.sign(issued.message), BROWSER)


# -- The texts of others -------------------------------------------------------------------------------------


def test_our_text_for_ethereum_is_the_one_that_viem_writes() -> None:
    signer = EthereumSigner()
    fields = {
        "domain": "localhost:5000",
        "scheme": "http",
        "address": signer.address,
        "statement": "Sign in.",
        "uri": ORIGIN + "/",
        "version": "1",
        "chainId": 10,
        "nonce": "k2Vx0bQm81ZtLw4e",
        "issuedAt": "2026-01-31T12:00:00.000Z",
        "expirationTime": "2026-01-31T12:05:00.000Z",
        "requestId": "7f3a",
        "resources": ["https://a.example/"],
    }
    theirs = ask("eip155", fields=fields)["text"]
    found = messages.read(theirs, verifiers.layouts())
    assert messages.write(found) == theirs
    assert (found.chain_id, found.scheme, found.request_id) == ("10", "http", "7f3a")
    verify(accounts.parse(signer.account("eip155:10")), theirs, signer.sign(theirs))


# -- Nothing of one chain is good for another ----------------------------------------------------------------


@pytest.mark.parametrize("mine", SIGNERS)
@pytest.mark.parametrize("other", SIGNERS)
def test_address_with_a_signature_of_another_chain_is_refused(challenges: Challenges, mine: str, other: str) -> None:
    signer, stranger = SIGNERS[mine](), SIGNERS[other]()
    issued = challenges.issue(signer.account(), BROWSER)
    wanted = SignatureMismatch if mine == other else SignatureMalformed
    signature = stranger.sign(issued.message)
    refused(wanted, lambda: challenges.redeem(issued.message, issued.challenge, signature, BROWSER))


def test_one_key_signs_for_one_of_two_chains_at_a_time() -> None:
    """The prefixes separate what one key signs for Ethereum and for Stacks."""
    ethereum = EthereumSigner()
    stacks = StacksSigner(ethereum.key)
    text = "text"
    theirs = ethereum.sign(text)[2:]
    as_stacks = theirs[:128] + f"{int(theirs[128:], 16) - 27:02x}"
    with pytest.raises(SignatureMismatch):
        verify(accounts.parse(stacks.account()), text, as_stacks)
    ours = stacks.sign(text)
    as_ethereum = "0x" + ours[:128] + f"{int(ours[128:], 16) + 27:02x}"
    with pytest.raises(SignatureMismatch):
        verify(accounts.parse(ethereum.account()), text, as_ethereum)


def test_a_text_of_one_chain_is_none_of_another(challenges: Challenges) -> None:
    signer = StacksSigner()
    issued = challenges.issue(signer.account(), BROWSER)

    def attempt(change: Callable[[str], str]) -> None:
        text = change(issued.message)
        assert text != issued.message
        challenges.redeem(text, issued.challenge, signer.sign(text), BROWSER)

    for word in ("Ethereum", "ICP"):
        refused(AccountMalformed, lambda word=word: attempt(lambda text: text.replace("Stacks", word)))
    refused(MessageMalformed, lambda: attempt(lambda text: text.replace("Stacks", "Solana")))
    refused(MessageMalformed, lambda: attempt(lambda text: text.replace("Stacks", "Dogecoin")))


def test_the_right_key_on_the_wrong_network_is_refused(challenges: Challenges) -> None:
    stacks, solana = StacksSigner(), SolanaSigner()

    def attempt(signer: Signer, issued: Challenge, old: str, new: str) -> None:
        text = issued.message.replace(old, new)
        assert text != issued.message
        challenges.redeem(text, issued.challenge, signer.sign(text), BROWSER)

    here = challenges.issue(stacks.account(), BROWSER)
    for wrong in ("2147483648", "0", "01", "2"):
        error = ChainUnsupported if wrong in ("0", "2") else AccountMalformed
        refused(error, lambda w=wrong: attempt(stacks, here, "Chain ID: 1", f"Chain ID: {w}"))
    refused(AccountMalformed, lambda: attempt(stacks, here, stacks.address, stacks.testnet))
    refused(AccountMalformed, lambda: challenges.issue(f"stacks:1:{stacks.testnet}", BROWSER))
    there = challenges.issue(solana.account(), BROWSER)
    refused(MessageChanged, lambda: attempt(solana, there, "Chain ID: mainnet", "Chain ID: devnet"))
    for wrong in ("localnet", SOLANA.partition(":")[2]):
        refused(ChainUnsupported, lambda w=wrong: attempt(solana, there, "Chain ID: mainnet", f"Chain ID: {w}"))
    refused(MessageMalformed, lambda: attempt(solana, there, "localhost:5000 w", "http://localhost:5000 w"))


@pytest.mark.parametrize(
    ("account", "error"),
    [
        ("stacks:1:SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ8", AccountMalformed),
        ("stacks:1:SM2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKQVX8X0G", AccountKeyless),
        (f"{SOLANA}:7S3P4HxJpyyigGzodYwHtCxZyUQe9JiBMHyRWXArAaK0", AccountMalformed),
        (f"{SOLANA}:11111111111111111111111111111111", AccountKeyless),
        (f"{ICP}:rdmx6-jaaaa-aaaah-qcaiq-cai", AccountMalformed),
        (f"{ICP}:rdmx6-jaaaa-aaaaa-aaadq-cai", AccountKeyless),
        (f"{ICP}:2vxsx-fae", AccountKeyless),
    ],
)
def test_account_without_a_key_gets_no_challenge(
    challenges: Challenges, account: str, error: type[SessionsError]
) -> None:
    refused(error, lambda: challenges.issue(account, BROWSER))


# -- Delegations run on the clock of the application -----------------------------------------------------------


def test_delegation_that_expires_before_use_is_refused(challenges: Challenges, clock: Clock) -> None:
    signer = IcpSigner(expires=(int(clock() * 1000) + 60_000,))
    in_time, too_late = (challenges.issue(signer.account(), BROWSER) for _ in range(2))
    challenges.redeem(in_time.message, in_time.challenge, signer.sign(in_time.message), BROWSER)
    clock.ahead += 61
    refused(
        DelegationExpired,
        lambda: challenges.redeem(too_late.message, too_late.challenge, signer.sign(too_late.message), BROWSER),
    )


@pytest.mark.parametrize(
    ("error", "state", "spoil"),
    [
        (
            DelegationExpired,
            "delegation_expired",
            lambda proof: proof["delegations"][0]["delegation"].update(expiration="1"),
        ),
        (
            DelegationRestricted,
            "delegation_restricted",
            lambda proof: proof["delegations"][0]["delegation"].update(targets=[]),
        ),
        (
            CanisterSignatureUnsupported,
            "identity_unsupported",
            lambda proof: proof.update(publicKey="303c300c060a2b0601040183b8430102032c000a" + "00" * 42),
        ),
    ],
)
def test_page_explains_a_refused_delegation(
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
    error: type[SignInRefused],
    state: str,
    spoil: Callable[[dict[str, Any]], object],
) -> None:
    monkeypatch.setattr(canisters, "available", lambda: False)
    signer, visitor = IcpSigner(), Visitor(app)
    challenge = visitor.challenge(signer.account())
    proof = json.loads(signer.sign(challenge["message"]))
    spoil(proof)
    response = visitor.attempt(
        signer,  # type: ignore[arg-type]
        challenge,
        signature=json.dumps(proof, separators=(",", ":")),
    )
    assert response.status_code == 400
    page = response.get_data(as_text=True)
    assert error.code in page
    assert f'data-state="{state}"' in page


@pytest.mark.parametrize(
    ("chain", "key", "error"),
    [
        ("eip155:1", canister_key().hex(), ChainUnsupported),
        ("nothing", canister_key().hex(), ChainUnsupported),
        (ICP, "", KeyMalformed),
        ("icp:" + "0" * 32, canister_key().hex(), CanisterSignatureUnsupported),
    ],
)
def test_only_keys_of_the_internet_computer_are_looked_up(chain: str, key: str, error: type[SignInRefused]) -> None:
    with pytest.raises(error):
        account_of_key(chain, key)


@pytest.mark.parametrize("namespace", SIGNERS)
def test_each_kind_of_account_sees_its_session_and_confirms(visitor: Visitor, namespace: str) -> None:
    """The words for how an account signs come from its part."""
    signer = SIGNERS[namespace]()
    assert visitor.attempt(signer, visitor.challenge(signer.account())).status_code == 303  # type: ignore[arg-type]
    assert visitor.get("/session").status_code == 200
    assert visitor.get(visitor.submit("/session/extend").headers["Location"]).status_code == 200
    assert visitor.confirm(signer, visitor.submit("/session/extend")).status_code == 303  # type: ignore[arg-type]


# -- Garbage -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("namespace", SIGNERS)
def test_garbage_in_every_place_is_refused_in_bounded_time(namespace: str) -> None:
    signer = SIGNERS[namespace]()
    account = accounts.parse(signer.account())
    signature = signer.sign("text")
    verifiers.warm(namespace)
    garbage = ("", "\0", "\ud800", "é" * 1000, "0" * 2000, "🦊" * 500, "\n" * 2000)
    start = time.process_time()
    for text in garbage:
        for given in (*garbage, signature):
            with pytest.raises(SignInRefused):
                verifiers.verify(account, text, given, NOW)
        with pytest.raises(SignInRefused):
            verifiers.verify(Account(account.namespace, account.reference, text), "text", signature, NOW)
    assert time.process_time() - start < 0.5
