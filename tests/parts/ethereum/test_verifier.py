"""Ethereum: published vectors, a second signer that shares no code with eth-account, and one encoding only."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from coincurve import PrivateKey
from eth_account import Account as EthAccount

from sessions_core.errors import AccountMalformed, SignatureMalformed, SignatureMismatch
from sessions_core.parts.ethereum import verifier
from sessions_core.parts.ethereum.verifier import checksum_address
from sessions_core.sign_in import accounts

from ...actors import Wallet
from ...chain_contract import Signer, VerifierContract, verify
from ...ethereum_signatures import N, decoded, encoded, other_encodings
from ...evm.contracts import keccak256
from ...signers import EthereumSigner


def personal_hash(message: str) -> bytes:
    """The hash that `personal_sign` signs: EIP-191, version 0x45."""
    text = message.encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)


class IndependentSigner:
    """A key by coincurve and keccak by pycryptodome: nothing of eth-account."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = PrivateKey(key or secrets.token_bytes(32))

    @property
    def address(self) -> str:
        point = self._key.public_key.format(compressed=False)[1:]
        return "0x" + keccak256(point)[-20:].hex()

    def sign(self, message: str) -> str:
        raw = self._key.sign_recoverable(personal_hash(message), hasher=None)
        return "0x" + (raw[:64] + bytes([27 + raw[64]])).hex()


class TestEip155(VerifierContract):
    namespace = "eip155"
    account_kind = "Ethereum"
    networks = ("eip155:1", "eip155:10", "eip155:11155111")

    def new_signer(self) -> Signer:
        return Wallet()

    def means_the_same(self, one: str, other: str) -> bool:
        return one[:2] == "0x" and one.lower() == other.lower()

    def signature_bits(self, signature: str) -> Iterator[str]:
        raw = int(signature, 16)
        for bit in range(520):
            yield f"0x{raw ^ (1 << bit):0130x}"

    def other_encodings(self, signature: str) -> dict[str, str]:
        return other_encodings(signature)


class TestEip155WithAnotherSigner(TestEip155):
    """The same contract with a signer that shares no code with what verifies."""

    def new_signer(self) -> Signer:
        return IndependentSigner()


class TestEip155WithViem(TestEip155):
    """The same contract with the library that many sites have in their pages."""

    def new_signer(self) -> Signer:
        return EthereumSigner()


# -- Published vectors -----------------------------------------------------------------------------------------


def test_the_test_s_own_keccak_is_the_ethereum_one() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    # ethers' documentation of hashMessage
    assert personal_hash("Hello World").hex() == "a1de988600a42c4b4ab089b619297c17d53cffae5d5120d82d8a92d0bb3b78f2"


# eth-account's documentation of sign_message (EIP-191): the text has a character of three bytes, so the length that
# is signed is 6 and not 4.
DOCUMENTED_KEY = bytes.fromhex("b25c7db31feed9122727bf0939dc769a96564b2de4c4726d035b36ecf1e5b364")
DOCUMENTED_ACCOUNT = "eip155:1:0x5ce9454909639D2D17A3F753ce7d93fa0b9aB12E"
DOCUMENTED_TEXT = "I\u2665SF"
DOCUMENTED_SIGNATURE = (
    "0xe6ca9bba58c88611fad66a6ce8f996908195593807c4b38bd528d2cff09d4eb3"
    "3e5bfbbf4d3e39b1a2fd816a7680c19ebebaf3a141b239934ad43cb33fcec8ce1c"
)


def test_the_documented_signature_of_eip_191_is_accepted() -> None:
    assert personal_hash(DOCUMENTED_TEXT).hex() == "1476abb745d423bf09273f1afd887d951181d25adc66c4834a70491911b7f750"
    verify(accounts.parse(DOCUMENTED_ACCOUNT), DOCUMENTED_TEXT, DOCUMENTED_SIGNATURE)
    with pytest.raises(SignatureMismatch):
        verify(accounts.parse(DOCUMENTED_ACCOUNT), DOCUMENTED_TEXT + " ", DOCUMENTED_SIGNATURE)


@pytest.mark.parametrize(
    ("key", "address"),
    [
        # The first account of Hardhat and Anvil, and the keys 1 and 2, whose addresses everybody knows.
        (
            "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
            "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        ),
        (f"{1:064x}", "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"),
        (f"{2:064x}", "0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF"),
    ],
)
def test_both_test_signers_agree_with_published_addresses(key: str, address: str) -> None:
    """They also agree with each other."""
    ours, theirs = IndependentSigner(bytes.fromhex(key)), Wallet(EthAccount.from_key("0x" + key))
    assert checksum_address(ours.address) == theirs.address == address
    assert ours.sign("text") == theirs.sign("text")  # both take k from RFC 6979


# -- What is particular to Ethereum ------------------------------------------------------------------------------


def test_v_may_be_0_or_1_in_place_of_27_or_28() -> None:
    seen = set()
    while seen != {27, 28}:
        wallet = Wallet()
        account = accounts.parse(wallet.account())
        r, s, v = decoded(wallet.sign("text"))
        seen.add(v)
        verify(account, "text", encoded(r, s, v - 27))
        with pytest.raises((SignatureMismatch, SignatureMalformed)):
            verify(account, "text", encoded(r, s, 28 - v))


def test_the_case_of_hex_digits_carries_nothing() -> None:
    wallet = Wallet()
    signature = wallet.sign("text")
    verify(accounts.parse(wallet.account()), "text", "0x" + signature[2:].upper())


def test_high_s_signature_is_refused() -> None:
    """The curve itself would accept it."""
    wallet = Wallet()
    r, s, v = decoded(wallet.sign("text"))
    high = encoded(r, N - s, 55 - v)
    from eth_account.messages import encode_defunct

    assert EthAccount.recover_message(encode_defunct(text="text"), signature=high) == wallet.address
    with pytest.raises(SignatureMalformed):
        verify(accounts.parse(wallet.account()), "text", high)


def test_the_largest_low_s_is_in_range_and_the_next_is_not() -> None:
    account = accounts.parse(Wallet().account())
    with pytest.raises(SignatureMismatch):
        verify(account, "text", encoded(1, N // 2, 27))
    with pytest.raises(SignatureMalformed):
        verify(account, "text", encoded(1, N // 2 + 1, 27))


def test_signature_without_the_personal_prefix_is_refused() -> None:
    """A signature for a transaction or for typed data can never sign in."""
    key = PrivateKey(secrets.token_bytes(32))
    account = accounts.parse(f"eip155:1:{IndependentSigner(key.secret).address}")
    text = "text"
    for digest in (
        keccak256(text.encode()),
        keccak256(b"\x19Ethereum Signed Message:\n" + text.encode()),
        keccak256(b"\x19Ethereum Signed Message:\n\x04" + text.encode()),
        keccak256(b"\x19Ethereum Signed Message:\n32" + keccak256(text.encode())),
        keccak256(b"\x19\x01" + text.encode()),
    ):
        raw = key.sign_recoverable(digest, hasher=None)
        with pytest.raises(SignatureMismatch):
            verify(account, text, "0x" + (raw[:64] + bytes([27 + raw[64]])).hex())


def test_bad_checksum_never_reaches_the_verifier() -> None:
    address = Wallet().address
    letter = next(at for at in range(2, 42) if address[at].isalpha())
    with pytest.raises(AccountMalformed):
        accounts.parse(f"eip155:1:{address[:letter]}{address[letter].swapcase()}{address[letter + 1 :]}")


def test_warming_up_refuses_a_slow_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    from eth_keys import KeyAPI
    from eth_keys.backends import NativeECCBackend

    monkeypatch.setattr(EthAccount, "_keys", KeyAPI(NativeECCBackend()))
    with pytest.raises(RuntimeError, match="unset ECC_BACKEND_CLASS"):
        verifier.Eip155().warm()
