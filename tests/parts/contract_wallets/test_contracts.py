"""Contract wallets on a real EVM: who is accepted, and what neither a hostile contract nor a hostile node can do."""

from __future__ import annotations

import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sessions_core.errors import SignatureMalformed, SignatureMismatch, SignInRefused
from sessions_core.parts.contract_wallets import contracts as contracts_module
from sessions_core.parts.contract_wallets.contracts import Contracts
from sessions_core.parts.contract_wallets.errors import (
    ContractWalletMissing,
    ContractWalletRefused,
    ContractWalletSilent,
    ContractWalletUnsupported,
    RpcUnavailable,
)
from sessions_core.parts.contract_wallets.options import ContractWalletSettings
from sessions_core.sign_in import accounts, verifiers
from sessions_core.sign_in.accounts import Account

from ...actors import Wallet, together
from ...evm import CHAIN, FACTORY, Anvil
from ...evm.assembly import assemble
from ...evm.contracts import (
    ACCEPTS_ALL,
    KEYED,
    MAGIC,
    REFUSING,
    WRAPPED,
    ContractWallet,
    answers,
    create2,
    creation,
    guarded,
    keccak256,
    replacing,
    wrapped,
)
from ...evm.nodes import Call, Speak, Stranger, http, result, says, tells
from ...servers import free_port

TEXT = "localhost:5000 wants you to sign in with your Ethereum account:\nand so on"
NOBODY = "0x" + "00" * 19 + "42"
REFUSAL = SignatureMismatch("signed by another key")


def settings(url: str | None, chain: str = CHAIN, rpc_timeout_ms: int = 10_000) -> ContractWalletSettings:
    # Ten seconds, since a busy machine may be slow.
    return ContractWalletSettings(rpc_urls={chain: url} if url else {}, rpc_timeout_ms=rpc_timeout_ms)


@pytest.fixture(scope="module")
def contracts(evm: Anvil) -> Contracts:
    return Contracts(settings(evm.url))


def account(address: str, chain: str = CHAIN) -> Account:
    return accounts.parse(f"{chain}:{address.lower()}")


@pytest.fixture(scope="module")
def verify(contracts: Contracts) -> Callable[..., bytes]:
    def verify(address: str, signature: str, text: str = TEXT) -> bytes:
        return contracts.verify(account(address), text, signature, REFUSAL)

    return verify


def refused(error: type[SignInRefused], attempt: Callable[[], object]) -> SignInRefused:
    with pytest.raises(SignInRefused) as caught:
        attempt()
    assert type(caught.value) is error, caught.value
    return caught.value


# -- The program -------------------------------------------------------------------------------------------------


def test_program_matches_its_listing() -> None:
    source = Path(contracts_module.__file__).read_text()
    lines = re.findall(r'^    "([0-9a-f ]+)"  # (.+)$', source, re.MULTILINE)
    assert "".join(code for code, _ in lines).replace(" ", "") == contracts_module._PROGRAM.hex()
    assert assemble("\n".join(listing for _, listing in lines)) == contracts_module._PROGRAM
    assert len(lines) > 10


def test_assembler_follows_the_yellow_paper() -> None:
    assert assemble("PUSH2 0x0102 ADD ; words").hex() == "61010201"
    assert assemble("here: PUSH1 @here JUMP PUSH1 @end").hex() == "5b60005660" + "06"
    with pytest.raises(OverflowError):
        assemble("PUSH1 256")
    with pytest.raises(ValueError, match="PUSH0"):
        assemble("PUSH0")  # newer than some of the chains


def test_caller_address_is_a_hash_without_a_private_key() -> None:
    assert "0x" + keccak256(b"asks whether a contract accepts a signature")[-20:].hex() == contracts_module._FROM


# -- Deployed wallets (ERC-1271) ----------------------------------------------------------------------------------


def test_a_deployed_wallet_accepts_the_signature_of_its_key(evm: Anvil, verify: Callable[..., bytes]) -> None:
    wallet = ContractWallet(evm).deploy()
    signature = wallet.sign(TEXT)
    assert verify(wallet.address, signature) == bytes.fromhex(signature[2:])
    assert verify(wallet.address, "0x" + signature[2:].upper()) == bytes.fromhex(signature[2:])


def test_deployed_wallet_refuses_another_key_or_text(evm: Anvil, verify: Callable[..., bytes]) -> None:
    wallet = ContractWallet(evm).deploy()
    refused(ContractWalletRefused, lambda: verify(wallet.address, Wallet().sign(TEXT)))
    signature = wallet.sign(TEXT)
    for other in (TEXT + " ", TEXT[:-1], TEXT.upper(), "", TEXT.replace("\n", "\r\n")):
        refused(ContractWalletRefused, lambda other=other: verify(wallet.address, signature, other))


def test_deployed_wallet_refuses_a_signature_with_a_changed_bit(evm: Anvil, verify: Callable[..., bytes]) -> None:
    wallet = ContractWallet(evm).deploy()
    raw = int(wallet.sign(TEXT), 16)
    for bit in range(0, 520, 7):
        refused(ContractWalletRefused, lambda bit=bit: verify(wallet.address, f"0x{raw ^ (1 << bit):0130x}"))


def test_the_wallet_s_own_state_decides(evm: Anvil, verify: Callable[..., bytes]) -> None:
    wallet = ContractWallet(evm).deploy()
    before = wallet.sign(TEXT)
    wallet.replace_key(Wallet())
    refused(ContractWalletRefused, lambda: verify(wallet.address, before))
    verify(wallet.address, wallet.sign(TEXT))


@pytest.mark.parametrize("size", [1, 2, 31, 32, 33, 64, 65, 66, 1000, contracts_module.MAX_BYTES])
def test_a_contract_decides_about_bytes_of_any_number(evm: Anvil, verify: Callable[..., bytes], size: int) -> None:
    """Each byte reaches it, and its number: the wallet accepts what hashes to what it expects."""
    signature = random.Random(size).randbytes(size)
    expected = keccak256(contracts_module._personal_hash(TEXT) + size.to_bytes(32) + signature)
    code = assemble(f"""
        PUSH1 32 PUSH1 4 PUSH1 0 CALLDATACOPY
        PUSH3 {32 + size} PUSH1 0x44 PUSH1 32 CALLDATACOPY
        PUSH3 {64 + size} PUSH1 0 KECCAK256 PUSH32 0x{expected.hex()} EQ PUSH1 @yes JUMPI INVALID yes:
    """) + answers(MAGIC)
    wallet = evm.deploy(creation(code))
    assert verify(wallet, f"0x{signature.hex()}") == signature
    changed = signature[:-1] + bytes([signature[-1] ^ 1])
    refused(ContractWalletSilent, lambda: verify(wallet, f"0x{changed.hex()}"))
    if size < contracts_module.MAX_BYTES:
        refused(ContractWalletSilent, lambda: verify(wallet, f"0x{signature.hex()}00"))


SILENT = {
    "nothing",
    "a revert",
    "an invalid opcode",
    "all its gas",
    "more memory than there is gas for",
    "yes after a change, which asking does not allow",
    "yes to the zero address",
    "yes when nobody pays",
    "code that looks like a contract that is not allowed",
    "itself, without end",
}
"""Those that return nothing at all."""


@pytest.mark.parametrize("name", REFUSING)
def test_contract_must_return_the_exact_magic_value(evm: Anvil, verify: Callable[..., bytes], name: str) -> None:
    wallet = evm.deploy(creation(REFUSING[name]))
    error = ContractWalletSilent if name in SILENT else ContractWalletRefused
    start = time.monotonic()
    refused(error, lambda: verify(wallet, "0x01"))
    refused(error, lambda: verify(wallet, Wallet().sign(TEXT)))
    refused(error, lambda: verify(wallet, wrapped(wallet, b"", "0x01")))
    assert time.monotonic() - start < 25  # three questions; each may take ten seconds


def test_contract_call_comes_from_a_nonzero_address(evm: Anvil, verify: Callable[..., bytes]) -> None:
    verify(evm.deploy(creation(guarded("ORIGIN"))), "0x01")
    verify(evm.deploy(creation(guarded(f"ORIGIN PUSH20 {contracts_module._FROM} EQ"))), "0x01")
    refused(ContractWalletSilent, lambda: verify(evm.deploy(creation(guarded("CALLER ISZERO"))), "0x01"))


def test_wallet_has_enough_gas_to_check_a_passkey(evm: Anvil, verify: Callable[..., bytes]) -> None:
    """The caller's gas is a part of the 10 million; a wallet may spend 2 million and more."""
    spends = "PUSH3 2000000 GAS SUB more: DUP1 GAS GT PUSH1 @more JUMPI"
    verify(evm.deploy(creation(assemble(spends) + answers(MAGIC))), "0x01")
    verify(evm.deploy(creation(guarded(f"PUSH3 {contracts_module._GAS // 2} GAS LT"))), "0x01")


def test_asking_changes_nothing_on_chain(evm: Anvil, verify: Callable[..., bytes]) -> None:
    deployed, counterfactual = ContractWallet(evm).deploy(), ContractWallet(evm)
    before = evm.ask("eth_getBlockByNumber", "latest", False)["stateRoot"]
    verify(deployed.address, deployed.sign(TEXT))
    verify(counterfactual.address, counterfactual.sign(TEXT))
    assert evm.ask("eth_getBlockByNumber", "latest", False)["stateRoot"] == before
    assert evm.ask("eth_getCode", counterfactual.address, "latest") == "0x"
    assert evm.ask("eth_getTransactionCount", contracts_module._FROM, "latest") == "0x0"


# -- Where no contract is -----------------------------------------------------------------------------------------


def test_without_a_contract_the_keys_refusal_stands(verify: Callable[..., bytes]) -> None:
    for signature in (Wallet().sign(TEXT), "0x01", "0x" + "11" * 64):
        assert refused(SignatureMismatch, lambda s=signature: verify(Wallet().address, s)) is REFUSAL


def test_contract_signature_without_a_contract_is_reported(verify: Callable[..., bytes]) -> None:
    """A signature of that length can only be a contract's, and no contract is deployed at the address."""
    for size in (0, 66, 67, 130, contracts_module.MAX_BYTES):
        refused(ContractWalletMissing, lambda size=size: verify(Wallet().address, "0x" + "11" * size))


def test_precompiled_contracts_are_no_wallets(verify: Callable[..., bytes]) -> None:
    """The identity (4) even answers with the very bytes it was asked with."""
    for number in (*range(20), 0x100):
        for signature in ("0x01", "0x" + "00" * 65, wrapped(f"0x{number:040x}", b"", "0x01")):
            error = SignatureMismatch if len(signature) <= 132 else ContractWalletMissing
            refused(error, lambda n=number, s=signature: verify(f"0x{n:040x}", s))


def test_an_account_with_a_key_and_code_may_use_either(evm: Anvil, verify: Callable[..., bytes]) -> None:
    """EIP-7702. Its key is checked without a network, before anything here is asked."""
    key, other = Wallet(), Wallet()
    implementation = evm.deploy(creation(KEYED))
    evm.ask("anvil_setCode", key.address, "0xef0100" + implementation[2:])
    evm.ask("anvil_setStorageAt", key.address, "0x0", "0x" + other.address[2:].lower().rjust(64, "0"))
    verify(key.address, other.sign(TEXT))
    refused(ContractWalletRefused, lambda: verify(key.address, Wallet().sign(TEXT)))
    verifiers.verify(account(key.address), TEXT, key.sign(TEXT), time.time())


# -- Wallets that are yet to be deployed (ERC-6492) --------------------------------------------------------------


def test_a_wallet_that_is_yet_to_be_deployed_signs_in(evm: Anvil, verify: Callable[..., bytes]) -> None:
    wallet = ContractWallet(evm)
    assert evm.ask("eth_getCode", wallet.address, "latest") == "0x"
    assert len(verify(wallet.address, wallet.sign(TEXT))) > 300


def test_undeployed_wallet_refuses_other_key_text_or_address(evm: Anvil, verify: Callable[..., bytes]) -> None:
    wallet, other = ContractWallet(evm), ContractWallet(evm, salt=b"another salt".rjust(32))
    by_another = wrapped(FACTORY, wallet.salt + wallet.code, Wallet().sign(TEXT))
    refused(ContractWalletRefused, lambda: verify(wallet.address, by_another))
    refused(ContractWalletRefused, lambda: verify(wallet.address, wallet.sign(TEXT), TEXT + " "))
    refused(ContractWalletMissing, lambda: verify(other.address, wallet.sign(TEXT)))
    refused(ContractWalletMissing, lambda: verify(Wallet().address, wallet.sign(TEXT)))
    refused(ContractWalletMissing, lambda: verify(NOBODY, wallet.sign(TEXT)))


def test_wrapped_signature_stays_valid_after_deployment(evm: Anvil, verify: Callable[..., bytes]) -> None:
    """Once deployed, the wallet's current key decides."""
    wallet = ContractWallet(evm)
    signature = wallet.sign(TEXT)
    wallet.deploy()
    verify(wallet.address, signature)
    wallet.replace_key(Wallet())
    refused(ContractWalletRefused, lambda: verify(wallet.address, signature))  # the wallet as it is, not as it began


def test_a_wallet_may_need_a_call_before_it_can_tell(evm: Anvil, verify: Callable[..., bytes]) -> None:
    """ERC-6492, "Signer side": deployed, but not ready."""
    key = Wallet()
    wallet = evm.deploy(creation(KEYED))
    prepared = wrapped(wallet, replacing(key.address), key.sign(TEXT))
    verify(wallet, prepared)
    refused(ContractWalletRefused, lambda: verify(wallet, key.sign(TEXT)))
    assert int(evm.ask("eth_getStorageAt", wallet, "0x0", "latest"), 16) == 0


BURNS = assemble("again: PUSH1 @again JUMP")
FACTORIES = {
    "reverts": REFUSING["a revert"],
    "burns its gas": BURNS,
    "returns a megabyte": REFUSING["a megabyte that begins with yes"],
    "does nothing": assemble("STOP"),
    "says yes itself": ACCEPTS_ALL,
}


@pytest.mark.parametrize("name", FACTORIES)
def test_a_factory_that_does_not_deploy_proves_nothing(evm: Anvil, verify: Callable[..., bytes], name: str) -> None:
    factory = evm.deploy(creation(FACTORIES[name]))
    refused(ContractWalletMissing, lambda: verify(ContractWallet(evm).address, wrapped(factory, b"", "0x01")))
    # And where there is a wallet, the factory neither helps nor harms.
    wallet = ContractWallet(evm, salt=name.encode().rjust(32)).deploy()
    verify(wallet.address, wrapped(factory, b"", wallet.sign(TEXT)))
    refused(ContractWalletRefused, lambda: verify(wallet.address, wrapped(factory, b"", Wallet().sign(TEXT))))


def test_contract_that_burns_all_gas_is_silent(evm: Anvil, verify: Callable[..., bytes]) -> None:
    greedy = evm.deploy(creation(BURNS))
    for factory in (greedy, evm.deploy(creation(BURNS)), FACTORY):
        refused(ContractWalletSilent, lambda factory=factory: verify(greedy, wrapped(factory, b"", "0x01")))


def test_an_attacker_s_wrapper_does_not_move_a_victim_s_wallet(evm: Anvil, verify: Callable[..., bytes]) -> None:
    victim, attacker = ContractWallet(evm).deploy(), ContractWallet(evm)
    yes_man = creation(ACCEPTS_ALL)
    for factory, call in (
        (FACTORY, attacker.salt + attacker.code),
        (FACTORY, bytes(32) + yes_man),
        (FACTORY, victim.salt + victim.code),
        (victim.address, bytes.fromhex(MAGIC)),
        (attacker.address, b""),
        ("0x" + "00" * 20, b""),
        (contracts_module._FROM, b""),
    ):
        signature = wrapped(factory, call, attacker.key.sign(TEXT))
        for address in (victim.address, victim.key.address, attacker.key.address):
            error = ContractWalletRefused if address == victim.address else ContractWalletMissing
            refused(error, lambda a=address, s=signature: verify(a, s))
    verify(create2(yes_man, bytes(32)), wrapped(FACTORY, bytes(32) + yes_man, "0x01"))  # theirs, and only theirs


def test_only_the_outer_wrapper_is_unwrapped(evm: Anvil, verify: Callable[..., bytes]) -> None:
    wallet = ContractWallet(evm)
    refused(ContractWalletMissing, lambda: verify(wallet.address, wrapped(FACTORY, b"", wallet.sign(TEXT))))


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32) for number in numbers)


LARGE = 2**256 - 1
MALFORMED = {
    "nothing but the mark": b"",
    "one value": words(1),
    "two values": words(1, 64),
    "a byte short of three": words(1, 96, 96)[:-1],
    "the call behind the end": words(1, 128, 96, 0),
    "the signature behind the end": words(1, 96, 128, 0),
    "the call far behind the end": words(1, LARGE, 96, 0),
    "the signature far behind the end": words(1, 96, LARGE, 0),
    "an end that wraps around": words(1, 2**256 - 32, 96, 0),
    "a call that is longer than all": words(1, 96, 128, 65, 0),
    "a call without end": words(1, 96, 128, LARGE, 0),
    "a signature without end": words(1, 96, 128, 0, LARGE),
    "half a length": words(1, 96, 97, 0),
    "a factory with more than 20 bytes": words(1 << 160, 96, 96, 0),
    "a factory with a sign": words(LARGE, 96, 96, 0),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_wrapped_signature_is_refused(name: str) -> None:
    with Stranger(tells()) as node:
        contracts = Contracts(settings(node.url))
        signature = "0x" + (MALFORMED[name] + WRAPPED).hex()
        refused(SignatureMalformed, lambda: contracts.verify(account(NOBODY), TEXT, signature, REFUSAL))
        assert node.connections == 0


def test_random_wrappers_are_refused(evm: Anvil, verify: Callable[..., bytes]) -> None:
    chance = random.Random(6492)
    wallet = ContractWallet(evm)
    good = bytes.fromhex(wallet.sign(TEXT)[2:])
    for _ in range(300):
        changed = bytearray(good)
        for _ in range(chance.choice((1, 1, 3))):
            at = chance.randrange(len(changed) - 32)
            changed[at] ^= 1 << chance.randrange(8)
        if contracts_module.question(account(NOBODY), TEXT, good) == _question(bytes(changed)):
            continue  # in the padding, which nobody reads
        with pytest.raises((SignatureMalformed, ContractWalletMissing, ContractWalletRefused)):
            verify(wallet.address, f"0x{changed.hex()}")


def _question(signature: bytes) -> bytes | None:
    try:
        return contracts_module.question(account(NOBODY), TEXT, signature)
    except SignatureMalformed:
        return None


# -- Without a node -----------------------------------------------------------------------------------------------


@pytest.fixture
def offline() -> Contracts:
    return Contracts(settings(None))


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "0x0",
        "0xzz",
        "0X" + "11" * 66,
        "11" * 66,
        " 0x" + "11" * 66,
        "0x" + "11" * 66 + "\n",
        "0x" + "1" * 133,
        "0x" + "\u0661" * 132,
        "0x" + "11" * (contracts_module.MAX_BYTES + 1),
    ],
    ids=lambda signature: ascii(signature[:12]) + str(len(signature)),
)
def test_no_spelling_of_a_signature_keeps_the_key_s_refusal(
    offline: Contracts, contracts: Contracts, signature: str
) -> None:
    for each in (offline, contracts):
        for refusal in (SignatureMalformed("not 65 bytes"), SignatureMismatch("another")):
            attempt = refused(type(refusal), lambda e=each, r=refusal: e.verify(account(NOBODY), TEXT, signature, r))
            assert attempt is refusal


def test_without_a_node_contract_signatures_are_unsupported(offline: Contracts) -> None:
    """A signature of a length that no key produces can only be a contract's."""
    for size in (0, 66, 100, contracts_module.MAX_BYTES):
        signature = "0x" + "11" * size
        refused(ContractWalletUnsupported, lambda s=signature: offline.verify(account(NOBODY), TEXT, s, REFUSAL))


@pytest.mark.parametrize("refusal", [SignatureMalformed("v is wrong"), SignatureMismatch("signed by another key")])
@pytest.mark.parametrize("size", [1, 64, 65])
def test_without_a_node_a_short_signature_says_so(offline: Contracts, size: int, refusal: SignInRefused) -> None:
    attempt = refused(type(refusal), lambda: offline.verify(account(NOBODY), TEXT, "0x" + "11" * size, refusal))
    assert (attempt, attempt.reason) == (refusal, "contract_unchecked")


def test_a_node_is_for_its_own_network(contracts: Contracts) -> None:
    other = account(NOBODY, "eip155:1")
    refused(ContractWalletUnsupported, lambda: contracts.verify(other, TEXT, "0x" + "11" * 66, REFUSAL))
    with pytest.raises(RpcUnavailable):
        contracts.accepts(other, TEXT, b"\x11" * 66)


def test_other_namespaces_have_no_contracts_here(contracts: Contracts) -> None:
    stacks = Account("stacks", "31337", "SP2J6ZY48GV1EZ5V2V5RB9MP66SW86PYKKNRV9EJ7")
    assert refused(SignatureMismatch, lambda: contracts.verify(stacks, TEXT, "0x" + "11" * 66, REFUSAL)) is REFUSAL


# -- Nodes that are not what they should be -----------------------------------------------------------------------

YES, NO, ABSENT = (f"0x{number:064x}" for number in (3, 1, 0))


def unavailable(url: str, **others: Any) -> RpcUnavailable:
    contracts = Contracts(settings(url, **others))
    with pytest.raises(RpcUnavailable) as caught:
        contracts.verify(account(NOBODY), TEXT, "0x" + "11" * 66, REFUSAL)
    with pytest.raises(RpcUnavailable):
        contracts.accepts(account(NOBODY), TEXT, b"\x11" * 66)
    return caught.value


def test_node_is_asked_its_chain_id_and_then_called_once() -> None:
    with Stranger(tells(eth_chainId="0x7a69", eth_call=YES)) as node:
        Contracts(settings(node.url)).verify(account(NOBODY), TEXT, "0x11", REFUSAL)
        assert node.methods == ["eth_chainId", "eth_call"]
        assert node.connections == 1
        call, block = node.calls[1]["params"]
        assert call["data"].startswith("0x" + contracts_module._PROGRAM.hex() + "00" * 12 + NOBODY[2:])
        assert (call | {"data": ""}, block) == (
            {"from": contracts_module._FROM, "gas": "0x989680", "data": ""},
            "latest",
        )


@pytest.mark.parametrize(
    "chain_id",
    [
        "0x1",
        "0x7a68",
        "0x7a690",
        "0x17a69",
        "0x0",
        "0x",
        "",
        "31337",
        "7a69",
        "-0x7a69",
        "0x7a69 ",
        "0x" + "0" * 40 + "7a69",
        "0x\u0667a69",
    ],
)
def test_a_node_of_another_network_is_not_asked(chain_id: str) -> None:
    with Stranger(tells(eth_chainId=chain_id, eth_call=YES)) as node:
        unavailable(node.url)
        assert set(node.methods) == {"eth_chainId"}


@pytest.mark.parametrize(
    ("number", "error"),
    [(0, ContractWalletMissing), (4, ContractWalletMissing), (1, ContractWalletRefused), (5, ContractWalletSilent)],
)
def test_only_the_exact_success_answer_is_accepted(number: int, error: type[SignInRefused]) -> None:
    with Stranger(tells(eth_chainId="0x7a69", eth_call=f"0x{number:064x}")) as node:
        contracts = Contracts(settings(node.url))
        refused(error, lambda: contracts.verify(account(NOBODY), TEXT, "0x" + "11" * 66, REFUSAL))
        assert not contracts.accepts(account(NOBODY), TEXT, b"\x11")


@pytest.mark.parametrize("number", [2, 6, 7, 8, 2**255, 2**256 - 1])
def test_an_answer_that_the_program_never_gives_is_none(number: int) -> None:
    """It comes from a node that ran something else, so it must neither sign in nor end a session."""
    with Stranger(tells(eth_chainId="0x7a69", eth_call=f"0x{number:064x}")) as node:
        unavailable(node.url)


@pytest.mark.parametrize(
    "answer",
    [
        "0x",
        "",
        "0x3",
        "0x03",
        YES[2:],
        YES + "00",
        YES[:-2],
        "0X" + YES[2:],
        YES.replace("3", "\u0663"),
        "0x" + MAGIC,
    ],
)
def test_answer_that_is_not_one_word_is_unavailable(answer: str) -> None:
    with Stranger(tells(eth_chainId="0x7a69", eth_call=answer)) as node:
        unavailable(node.url)


def test_an_error_of_the_node_is_never_the_wallet_s_no() -> None:
    """Nor its yes: it says nothing about the signature."""

    def speak(connection: socket.socket, call: Call) -> None:
        error = (
            b'{"id": %d, "error": {"code": 3, "message": "execution reverted", "data": "0x1626ba7e"}}' % call["id"]
        )
        connection.sendall(result(call, "0x7a69") if call["method"] == "eth_chainId" else http(error))

    with Stranger(speak) as node:
        unavailable(node.url)


def test_a_node_that_hangs_has_the_time_of_the_settings(caplog: pytest.LogCaptureFixture) -> None:
    with Stranger(lambda connection, call: None) as node:
        start = time.monotonic()
        unavailable(node.url + "s3cret", rpc_timeout_ms=200)
        assert 0.4 <= time.monotonic() - start < 20  # two questions, each of at most 0.2 s; without a limit, never
    assert caplog.text.count(f"The contract at {account(NOBODY)} could not be asked") == 2
    assert "TimeoutError" in caplog.text
    assert "s3cret" not in caplog.text


def without_to(connection: socket.socket, call: Call) -> None:
    """A node that takes no `eth_call` without `to`, in the words of one."""
    error = b'{"id": %d, "error": {"code": -32602, "message": "missing field `to`"}}' % call["id"]
    connection.sendall(result(call, "0x7a69") if call["method"] == "eth_chainId" else http(error))


@pytest.mark.parametrize(
    ("speak", "advice"),
    [
        (without_to, "name another in SESSIONS_CORE_RPC_URLS['eip155:31337']"),
        (tells(eth_chainId="0x7a69", eth_call="0x"), "name another in SESSIONS_CORE_RPC_URLS['eip155:31337']"),
        (tells(eth_chainId="0x1"), "Correct SESSIONS_CORE_RPC_URLS['eip155:31337']"),
        (says(b"", status="401 Unauthorized"), "refuses the key in SESSIONS_CORE_RPC_URLS['eip155:31337']"),
        (says(b"", status="403 Forbidden"), "refuses the key in SESSIONS_CORE_RPC_URLS['eip155:31337']"),
        (says(b"", status="429 Too Many Requests"), "quota"),
        (lambda connection, call: None, "SESSIONS_CORE_RPC_TIMEOUT_MS"),
    ],
    ids=["without to", "no program", "another network", "401", "403", "429", "silent"],
)
def test_log_names_the_setting_to_change(caplog: pytest.LogCaptureFixture, speak: Speak, advice: str) -> None:
    with Stranger(speak) as node:
        unavailable(node.url + "s3cret", rpc_timeout_ms=500)
    assert caplog.text.count(advice) == 2
    assert "s3cret" not in caplog.text


def test_a_node_that_is_gone_needs_no_setting(caplog: pytest.LogCaptureFixture) -> None:
    unavailable(f"http://127.0.0.1:{free_port()}")
    assert "could not be asked" in caplog.text
    assert "SESSIONS_CORE" not in caplog.text


def test_a_node_that_is_gone_is_unavailable() -> None:
    assert unavailable(f"http://127.0.0.1:{free_port()}").retry_after == 5


@pytest.fixture
def stuck() -> Iterator[tuple[Stranger, threading.Semaphore, threading.Event]]:
    """A node that counts who is there, and waits for a word before it answers."""
    there, word = threading.Semaphore(0), threading.Event()

    def speak(connection: socket.socket, call: Call) -> None:
        there.release()
        word.wait(20)
        connection.sendall(result(call, "0x7a69" if call["method"] == "eth_chainId" else YES))

    with Stranger(speak) as node:
        yield node, there, word
        word.set()


def test_a_slow_node_holds_up_four_requests_and_no_more(
    stuck: tuple[Stranger, threading.Semaphore, threading.Event],
) -> None:
    node, there, word = stuck
    contracts = Contracts(settings(node.url))

    def ask() -> str:
        try:
            contracts.verify(account(NOBODY), TEXT, "0x11", REFUSAL)
        except RpcUnavailable as error:
            return f"again in {error.retry_after} s"
        return "accepted"

    def wait_and_release() -> str:
        assert all(there.acquire(timeout=5) for _ in range(4))
        told = [ask() for _ in range(3)]
        word.set()
        return told[0]

    said = together(*[ask] * 4, wait_and_release)
    assert said == ["accepted"] * 4 + ["again in 1 s"]
    assert node.connections == 4
    assert [ask() for _ in range(6)] == ["accepted"] * 6  # every place was given back


def test_failed_requests_release_their_slots() -> None:
    contracts = Contracts(settings(f"http://127.0.0.1:{free_port()}"))
    for _ in range(10):
        with pytest.raises(RpcUnavailable) as caught:
            contracts.accepts(account(NOBODY), TEXT, b"\x11")
        assert caught.value.retry_after == 5
