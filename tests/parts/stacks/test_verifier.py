"""Stacks: published vectors, the wallets' own library as signer, one encoding only."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import ClassVar

import pytest

from sessions_core.errors import AccountMalformed, SignatureMalformed, SignatureMismatch, SignInRefused
from sessions_core.parts.stacks import c32check
from sessions_core.sign_in import accounts, curves
from sessions_core.sign_in.accounts import Account

from ...chain_contract import Signer, VerifierContract, verify
from ...signers import StacksSigner, ask

N = curves.SECP256K1_ORDER

# stacks.js, packages/encryption/tests/messageSignature.test.ts: one text by one key, under either prefix.
PUBLISHED_TEXT = "You are saying that you want to perform action XYZ."
PUBLISHED_ACCOUNT = "stacks:2147483648:STGSJA8EMYDBAJDX6Z4ED8CWW071B6NB97SRAM1E"
PUBLISHED_SIGNATURE = (
    "29ef6d718235e5fc32a1b90dd8fc7fa9403fa1b55c2dce46374570b7f3a4815d"
    "0215b8565f29a33ef8132dc0db6b00a5f13d85d6aff5c1171271818b9928928c01"
)
PUBLISHED_LEGACY_SIGNATURE = (
    "ab7d5f728dfc6daf0511bf292f981ae44c2ffb6f5fa1adf1db28580aeb941890"
    "3c28ddc87ede66ef4091c1df03ef4348b22de1f34b8581ab820d0d93a266115300"
)


def encoded(r: int, s: int, v: int) -> str:
    return f"{r:064x}{s:064x}{v:02x}"


def decoded(signature: str) -> tuple[int, int, int]:
    return int(signature[:64], 16), int(signature[64:128], 16), int(signature[128:], 16)


class TestStacks(VerifierContract):
    namespace = "stacks"
    account_kind = "Stacks"
    networks: ClassVar[tuple[str, ...]] = ("stacks:1", "stacks:2147483648")

    def new_signer(self) -> Signer:
        return StacksSigner()

    def account(self, signer: Signer, network: str | None = None) -> Account:
        assert isinstance(signer, StacksSigner)
        return accounts.parse(signer.account(network or "stacks:1"))

    def signature_bits(self, signature: str) -> Iterator[str]:
        raw = int(signature, 16)
        for bit in range(520):
            yield f"{raw ^ (1 << bit):0130x}"

    def other_encodings(self, signature: str) -> dict[str, str]:
        r, s, v = decoded(signature)
        raw = bytes.fromhex(signature)
        der = b"\x02\x20" + raw[:32] + b"\x02\x20" + raw[32:64]
        return {
            "0x": "0x" + signature,
            "upper case": signature.upper(),
            "short by a byte": signature[:-2],
            "short by a digit": signature[:-1],
            "long by a digit": signature + "0",
            "long by a byte": signature + "00",
            "a blank before": " " + signature,
            "a line feed after": signature + "\n",
            "NUL after": signature + "\0",
            "blanks between bytes": raw.hex(" "),
            "without v": signature[:128],
            "base64": base64.b64encode(raw).decode(),
            "DER": (b"\x30" + bytes([len(der)]) + der).hex(),
            "named RSV": "rsv:" + signature,
            "VRS in capitals": "VRS:" + signature[128:] + signature[:128],
            "VRS named twice": "vrs:vrs:" + signature[128:] + signature[:128],
            "RSV named VRS": "vrs:" + encoded(0xFF << 248 | r >> 8, s, v),
            "high s": encoded(r, N - s, v ^ 1),
            "high s with the same v": encoded(r, N - s, v),
            **{f"v {other}": encoded(r, s, other) for other in (4, 26, 27, 28, 29, 31, 35, 37, 128, 255)},
            "r zero": encoded(0, s, v),
            "s zero": encoded(r, 0, v),
            "r = n": encoded(N, s, v),
            "s = n": encoded(r, N, v),
            "r largest": encoded(2**256 - 1, s, v),
            "s just above n/2": encoded(r, N // 2 + 1, v),
            "digits of another script": "".join(chr(0x660 + int(d)) if d.isdigit() else d for d in signature),
        }


def test_the_published_signature_is_accepted() -> None:
    verify(accounts.parse(PUBLISHED_ACCOUNT), PUBLISHED_TEXT, PUBLISHED_SIGNATURE)


def test_the_legacy_prefix_signs_nothing_here() -> None:
    """Library helpers accept it beside the new one; then two texts have one signature."""
    with pytest.raises(SignatureMismatch):
        verify(accounts.parse(PUBLISHED_ACCOUNT), PUBLISHED_TEXT, PUBLISHED_LEGACY_SIGNATURE)


@pytest.mark.parametrize("prefix", ["", "\x18Stacks Message Signing:\n", "\x17Bitcoin Signed Message:\n", "SIP018"])
def test_another_prefix_signs_nothing_here(prefix: str) -> None:
    signer = StacksSigner()
    with pytest.raises(SignatureMismatch):
        verify(accounts.parse(signer.account()), "text", signer.sign("text", prefix=prefix))


def test_structured_data_signs_nothing_here() -> None:
    """What approves an action of a contract (SIP-018) can't sign in."""
    signer = StacksSigner()
    with pytest.raises(SignatureMismatch):
        verify(accounts.parse(signer.account()), "text", signer.sign("text", structured=True))


@pytest.mark.parametrize("length", [0, 1, 251, 252, 253, 254, 255, 256, 257, 509, 1000, 2048])
def test_the_length_of_the_text_is_written_as_bitcoin_does(length: int) -> None:
    signer = StacksSigner()
    verify(accounts.parse(signer.account()), "a" * length, signer.sign("a" * length))


@pytest.mark.parametrize("length", [126, 127, 84])
def test_the_length_counts_bytes_and_not_characters(length: int) -> None:
    signer = StacksSigner()
    verify(accounts.parse(signer.account()), "é€"[length % 2] * length, signer.sign("é€"[length % 2] * length))


def test_v_comes_first_only_where_the_page_says_so() -> None:
    signer = StacksSigner()
    account = accounts.parse(signer.account())
    guessed = 0
    for number in range(100):
        text = f"text {number}"
        rsv = signer.sign(text)
        vrs = rsv[128:] + rsv[:128]
        verify(account, text, rsv)
        verify(account, text, "vrs:" + vrs)
        for wrong in (vrs, "vrs:" + rsv):
            with pytest.raises((SignatureMalformed, SignatureMismatch)):
                verify(account, text, wrong)
        guessed += int(vrs[128:], 16) < 4
    assert guessed < 20


def test_v_may_be_0_to_3_and_says_which_key() -> None:
    seen = set()
    while seen != {0, 1}:
        signer = StacksSigner()
        r, s, v = decoded(signer.sign("text"))
        seen.add(v)
        for other in {0, 1, 2, 3} - {v}:
            with pytest.raises(SignatureMismatch):
                verify(accounts.parse(signer.account()), "text", encoded(r, s, other))


def test_the_same_key_written_uncompressed_is_another_account() -> None:
    signer = StacksSigner()
    account = accounts.parse(f"stacks:1:{signer.uncompressed}")
    with pytest.raises(SignatureMismatch):
        verify(account, "text", signer.sign("text"))


def test_address_of_the_other_network_reaches_no_verifier() -> None:
    signer = StacksSigner()
    for text in (f"stacks:1:{signer.testnet}", f"stacks:2147483648:{signer.address}"):
        with pytest.raises(AccountMalformed):
            accounts.parse(text)


def test_the_library_s_addresses_are_ours() -> None:
    for _ in range(20):
        signer = StacksSigner()
        version, hash160 = c32check.read_stacks(signer.address)
        assert (version, c32check.write_stacks(26, hash160)) == (22, signer.testnet)


def test_small_r_with_a_large_v_is_refused_cleanly() -> None:
    """r + n must be below the field's prime for v of 2 and 3; some libraries fail there."""
    account = accounts.parse(StacksSigner().account())
    for r in (1, 2, 2**128, 2**129, N - 1):
        for v in range(4):
            with pytest.raises(SignInRefused):
                verify(account, "text", encoded(r, 1, v))


def test_the_signer_s_hash_is_the_published_one() -> None:
    signer = StacksSigner("bcf62fdd286f9b30b2c289cce3189dbf3b502dcd955b2dc4f67d18d77f3e73c7")
    assert ask("stacks", key=signer.key, text="")["mainnet"] == signer.address
    verify(accounts.parse(signer.account()), "hello world", signer.sign("hello world"))
