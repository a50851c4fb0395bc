"""Solana: the vectors of RFC 8032, an independent signer, the text as the wallets' library writes it."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import ClassVar

import pytest

from sessions_core.errors import AccountKeyless, ChainUnsupported, MessageMalformed, SignatureMismatch
from sessions_core.parts.solana.verifier import BASE58
from sessions_core.sign_in import accounts, curves, encodings, messages, verifiers
from sessions_core.sign_in.accounts import Account

from ...chain_contract import Signer, VerifierContract, verify
from ...signers import SOLANA, SOLANA_DEVNET, SOLANA_TESTNET, SolanaSigner, ask

L = curves.ED25519_ORDER

# RFC 8032, section 7.1: TEST 1 to 3 (secret key, public key, message, signature).
RFC8032 = (
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
        "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
)

# The points of small order and their second encodings, from libsodium's blocklist (RFC 7748, section 7 has the same).
SMALL_ORDER = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)


def base58(data: bytes) -> str:
    return encodings.write_digits(data, BASE58)


def raw(signature: str) -> bytes:
    return encodings.read_digits(signature, BASE58)


class TestSolana(VerifierContract):
    namespace = "solana"
    account_kind = "Solana"
    networks: ClassVar[tuple[str, ...]] = (SOLANA, SOLANA_DEVNET, SOLANA_TESTNET)

    def new_signer(self) -> Signer:
        return SolanaSigner()

    def signature_bits(self, signature: str) -> Iterator[str]:
        number = int.from_bytes(raw(signature))
        for bit in range(512):
            yield base58((number ^ (1 << bit)).to_bytes(64))

    def other_encodings(self, signature: str) -> dict[str, str]:
        data = raw(signature)
        return {
            "hex": data.hex(),
            "0x and hex": "0x" + data.hex(),
            "base64": base64.b64encode(data).decode(),
            "base64url": base64.urlsafe_b64encode(data).decode().rstrip("="),
            "a list of numbers": str(list(data)),
            "a leading zero byte": base58(b"\0" + data),
            "a zero byte after": base58(data + b"\0"),
            "a byte lost": base58(data[:-1]),
            "63 bytes": base58(data[1:]),
            "a blank before": " " + signature,
            "a blank after": signature + " ",
            "a line feed after": signature + "\n",
            "NUL after": signature + "\0",
            "the signed text after": base58(data + b"text"),
            "S + L": base58(data[:32] + (int.from_bytes(data[32:], "little") + L).to_bytes(32, "little")),
            "S = L": base58(data[:32] + L.to_bytes(32, "little")),
            "S largest": base58(data[:32] + b"\xff" * 32),
        }


@pytest.mark.parametrize(("secret", "key", "message", "signature"), RFC8032)
def test_the_vectors_of_rfc_8032_are_accepted(secret: str, key: str, message: str, signature: str) -> None:
    account = accounts.parse(f"{SOLANA}:{base58(bytes.fromhex(key))}")
    text = bytes.fromhex(message).decode()
    verify(account, text, base58(bytes.fromhex(signature)))
    signer = SolanaSigner(secret)
    assert signer.account() == str(account)
    assert signer.sign(text) == base58(bytes.fromhex(signature))


# -- The text --------------------------------------------------------------------------------------------------


def fields(address: str, **changes: object) -> dict[str, object]:
    """What a page hands to `solana:signIn`."""
    return {
        "domain": "app.example.org",
        "address": address,
        "statement": "Sign in.",
        "uri": "https://app.example.org/",
        "version": "1",
        "chainId": "mainnet",
        "nonce": "k2Vx0bQm81ZtLw4e",
        "issuedAt": "2026-01-31T12:00:00Z",
        "expirationTime": "2026-01-31T12:05:00Z",
    } | changes


@pytest.mark.parametrize("statement", ["Sign in.", None])
@pytest.mark.parametrize("network", [(SOLANA, "mainnet"), (SOLANA_DEVNET, "devnet"), (SOLANA_TESTNET, "testnet")])
def test_a_wallet_that_builds_the_text_itself_builds_ours(network: tuple[str, str], statement: str | None) -> None:
    signer, contract = SolanaSigner(), TestSolana()
    account = accounts.parse(signer.account(network[0]))
    theirs = ask("solana", fields=fields(signer.address, chainId=network[1], statement=statement))["text"]
    assert contract.text(account, statement) == theirs
    verify(account, theirs, signer.sign(theirs))


def test_wallet_writes_optional_fields_where_we_do() -> None:
    """The fields are request id, not before and resources."""
    signer = SolanaSigner()
    more = {"notBefore": "2026-01-31T11:59:00Z", "requestId": "7f3a", "resources": ["https://a.example/", "ipfs://b"]}
    theirs = ask("solana", fields=fields(signer.address, **more))["text"]
    found = messages.read(theirs, verifiers.layouts())
    assert (found.request_id, found.resources) == ("7f3a", ("https://a.example/", "ipfs://b"))
    assert messages.write(found) == theirs


def bare(signer: SolanaSigner) -> str:
    return TestSolana().text(accounts.parse(signer.account()), None)


@pytest.mark.parametrize(
    "change",
    [
        ("\n\nURI", "\n\n\nURI"),
        ("\n\nURI", "\nURI"),
        ("app.example.org wants", "https://app.example.org wants"),
        ("app.example.org wants", "http://app.example.org wants"),
        ("Chain ID: mainnet", "Chain ID: solana:mainnet"),
        ("Chain ID: mainnet", "Chain ID: "),
        ("\nChain ID: mainnet", ""),
        ("\nNonce: k2Vx0bQm81ZtLw4e", ""),
        ("\nVersion: 1", ""),
        ("\nIssued At: 2026-01-31T12:00:00Z", ""),
        ("\n\nURI: https://app.example.org/", "\n"),
    ],
    ids=ascii,
)
def test_a_text_in_another_layout_is_refused(change: tuple[str, str]) -> None:
    """Sign-In-With-Solana makes nearly every field optional; here none that protects is."""
    text = bare(SolanaSigner())
    changed = text.replace(*change)
    assert changed != text
    with pytest.raises(MessageMalformed):
        messages.read(changed, verifiers.layouts())


@pytest.mark.parametrize("word", ["localnet", "Mainnet", "1", "101", "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"])
def test_a_cluster_has_one_name(word: str) -> None:
    found = messages.read(bare(SolanaSigner()).replace("mainnet", word), verifiers.layouts())
    with pytest.raises(ChainUnsupported):
        found.layout.reference(found.chain_id)


def test_a_cluster_without_a_name_is_unsupported() -> None:
    with pytest.raises(ChainUnsupported):
        verifiers.verifier("solana").layout.chain_id("EAQLJCV2mh23BsK2P9oYpV5CHVLDNHTx")


# -- Keys ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", SMALL_ORDER)
def test_a_key_of_small_order_is_no_account_and_verifies_nothing(key: str) -> None:
    """With such a key, R = A and S = 0 is a signature over whatever text, to a verifier that does not look."""
    data = bytes.fromhex(key)
    with pytest.raises(AccountKeyless):
        accounts.parse(f"{SOLANA}:{base58(data)}")
    account = Account("solana", SOLANA.partition(":")[2], base58(data))
    for point in SMALL_ORDER:
        with pytest.raises(SignatureMismatch):
            verify(account, "text", base58(bytes.fromhex(point) + bytes(32)))


def test_a_signature_whose_r_is_of_small_order_is_refused() -> None:
    account = accounts.parse(SolanaSigner().account())
    for point in SMALL_ORDER:
        with pytest.raises(SignatureMismatch):
            verify(account, "text", base58(bytes.fromhex(point) + (1).to_bytes(32, "little")))


@pytest.mark.parametrize(
    "address",
    [
        "11111111111111111111111111111111",  # the system program
        "SysvarC1ock11111111111111111111111111111111",
        "Vote111111111111111111111111111111111111111",
    ],
)
def test_program_can_not_sign_in_with_a_well_formed_address(address: str) -> None:
    try:
        account = accounts.parse(f"{SOLANA}:{address}")
    except AccountKeyless:
        return
    with pytest.raises(SignatureMismatch):
        verify(account, "text", base58(b"\1" * 64))


def test_half_of_all_addresses_are_no_keys() -> None:
    chance = random.Random(25519)
    keyless = 0
    for _ in range(200):
        try:
            accounts.parse(f"{SOLANA}:{base58(chance.randbytes(32))}")
        except AccountKeyless:
            keyless += 1
    assert keyless > 60
    for _ in range(5):
        accounts.parse(SolanaSigner().account())


def test_the_text_is_signed_as_it_is_with_no_prefix() -> None:
    signer = SolanaSigner()
    account = accounts.parse(signer.account())
    for prefix in ("\xffsolana offchain", "\x19Solana Signed Message:\n4", "\0"):
        with pytest.raises(SignatureMismatch):
            verify(account, "text", signer.sign(prefix + "text"))
