"""The curves: published vectors (RFC 6979, RFC 8032), and what is in no range."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable

import pytest

from sessions_core.errors import SignatureMalformed, SignatureMismatch
from sessions_core.parts.internet_computer import ecdsa
from sessions_core.parts.stacks.verifier import recover_secp256k1
from sessions_core.sign_in import curves

# RFC 6979, section A.2.5: P-256 with SHA-256, message "sample"; x, y, r, s.
P256 = (
    "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
    "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
)
# The key 1 on secp256k1, whose point is the generator (SEC 2, section 2.4.1), and its signature over "Satoshi
# Nakamoto" (trezor-crypto, test_rfc6979).
SECP256K1 = (
    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8",
    "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
    "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
)
ED25519 = (
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
)

Check = Callable[[bytes, bytes, bytes], None]
VECTORS: dict[str, tuple[Check, tuple[str, str], bytes, int]] = {
    "p256": (ecdsa.p256, P256, b"sample", curves.P256_ORDER),
    "secp256k1": (ecdsa.secp256k1, SECP256K1, b"Satoshi Nakamoto", curves.SECP256K1_ORDER),
}


def test_the_published_signatures_are_accepted() -> None:
    for check, (key, signature), signed, _ in VECTORS.values():
        check(bytes.fromhex(key), signed, bytes.fromhex(signature))
    curves.ed25519(bytes.fromhex(ED25519[0]), b"\x72", bytes.fromhex(ED25519[1]))


@pytest.mark.parametrize(("check", "vector", "signed", "order"), VECTORS.values(), ids=VECTORS)
def test_numbers_out_of_range_are_no_signature(
    check: Check, vector: tuple[str, str], signed: bytes, order: int
) -> None:
    key, signature = (bytes.fromhex(part) for part in vector)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    for bad_r, bad_s in ((0, s), (r, 0), (order, s), (r, order), (2**256 - 1, s), (r, 2**256 - 1)):
        with pytest.raises(SignatureMalformed):
            check(key, signed, bad_r.to_bytes(32) + bad_s.to_bytes(32))
    for wrong in (b"", signature[:-1], signature + b"\0", signature * 2):
        with pytest.raises(SignatureMalformed):
            check(key, signed, wrong)


@pytest.mark.parametrize(("check", "vector", "signed", "order"), VECTORS.values(), ids=VECTORS)
def test_another_text_or_key_is_a_mismatch(check: Check, vector: tuple[str, str], signed: bytes, order: int) -> None:
    key, signature = (bytes.fromhex(part) for part in vector)
    for other_key, other_text in (
        (key, signed + b" "),
        (key, b""),
        (key[:32] + bytes(32), signed),
        (bytes(64), signed),
        (b"\xff" * 64, signed),
        (key[32:] + key[:32], signed),
    ):
        with pytest.raises(SignatureMismatch):
            check(other_key, other_text, signature)


@pytest.mark.parametrize("backend", ["CoinCurveECCBackend", "NativeECCBackend"])
def test_a_recovered_key_is_the_one_that_signed(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    """With coincurve, and without it as on Python 3.14."""
    if backend == "NativeECCBackend" or sys.version_info < (3, 14):
        monkeypatch.setenv("ECC_BACKEND_CLASS", f"eth_keys.backends.{backend}")
    digest = hashlib.sha256(b"Satoshi Nakamoto").digest()
    signature = bytes.fromhex(SECP256K1[1])
    found = [recover_secp256k1(digest, signature + bytes([v])) for v in (0, 1)]
    assert bytes.fromhex("02" + SECP256K1[0][:64]) in found
    for v in (2, 3):  # r would be larger than the field
        with pytest.raises(SignatureMismatch):
            recover_secp256k1(digest, signature + bytes([v]))
    for v in (4, 27, 255):
        with pytest.raises(SignatureMalformed):
            recover_secp256k1(digest, signature + bytes([v]))
    with pytest.raises(SignatureMalformed):
        recover_secp256k1(digest, signature)
    with pytest.raises(SignatureMismatch):
        recover_secp256k1(digest, (5).to_bytes(32) + signature[32:] + b"\0")


@pytest.mark.parametrize(
    ("key", "held"),
    [
        (ED25519[0], True),
        ("00" * 32, False),
        ("01" + "00" * 31, False),
        ("ee" + "ff" * 30 + "7f", False),
        ("02" + "00" * 31, False),
        ("ff" * 32, False),
    ],
)
def test_not_every_32_bytes_are_a_key(key: str, held: bool) -> None:
    assert curves.is_ed25519_key(bytes.fromhex(key)) is held


def test_a_key_of_another_group_is_none() -> None:
    """Of mixed order: a key that is held, and the point of order two beside it (CVE-2025-69277)."""
    from nacl.bindings import crypto_core_ed25519_add

    two = bytes.fromhex("ec" + "ff" * 30 + "7f")
    assert curves.is_ed25519_key(crypto_core_ed25519_add(bytes.fromhex(ED25519[0]), two)) is False


def test_openssl_accepts_what_libsodium_refuses() -> None:
    """The reason for PyNaCl: a key of small order, and one signature that fits every text."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key, signature = b"\1" + bytes(31), b"\1" + bytes(63)
    for text in (b"one", b"another"):
        Ed25519PublicKey.from_public_bytes(key).verify(signature, text)
        with pytest.raises(SignatureMismatch):
            curves.ed25519(key, text, signature)
