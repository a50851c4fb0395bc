"""Signatures on the curves that several chains share, each in one encoding.

A function returns if `key` signed and raises otherwise: `SignatureMalformed` for what is no signature on the curve at
all, `SignatureMismatch` for one of another key or over other bytes. Numbers are big-endian, except in Ed25519. The
libraries are imported by the first signature that needs them: see `warm`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ..errors import SignatureMalformed, SignatureMismatch

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve

# The orders: SEC 2, section 2.4.1; FIPS 186-4, section D.1.2.3; RFC 8032, section 5.1.
SECP256K1_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def ed25519(key: bytes, signed: bytes, signature: bytes) -> None:
    """Check an Ed25519 signature (RFC 8032): `key` has 32 bytes, `signature` 64.

    libsodium does it, since it refuses keys of small order. For such a key OpenSSL accepts one signature over
    whatever message.
    """
    if len(signature) != 64 or int.from_bytes(signature[32:], "little") >= ED25519_ORDER:
        raise SignatureMalformed("not 64 bytes, or S out of range")
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    try:
        VerifyKey(key).verify(signed, signature)
    except BadSignatureError:
        raise SignatureMismatch("signed by another key") from None


def is_ed25519_key(key: bytes) -> bool:
    """Whether 32 bytes are a key that somebody can hold: on the curve, in its canonical form, not of small order."""
    from nacl.bindings import crypto_core_ed25519_is_valid_point

    return crypto_core_ed25519_is_valid_point(key)


def p256(key: bytes, signed: bytes, signature: bytes) -> None:
    """Check an ECDSA signature on P-256 over SHA-256: `key` is x and y of the point, `signature` r and s.

    s may be high or low: the keys of browsers (WebCrypto) make both, and nothing here takes a signature for a name.
    """
    numbers = _numbers(signature, P256_ORDER, P256_ORDER - 1)
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

    _ecdsa(SECP256R1(), key, signed, numbers)


def secp256k1(key: bytes, signed: bytes, signature: bytes) -> None:
    """Check an ECDSA signature on secp256k1 over SHA-256: `key` is x and y of the point, `signature` r and low s."""
    numbers = _numbers(signature, SECP256K1_ORDER, SECP256K1_ORDER // 2)
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1

    _ecdsa(SECP256K1(), key, signed, numbers)


def recover_secp256k1(digest: bytes, signature: bytes) -> bytes:
    """Return the compressed key that signed a digest of 32 bytes: `signature` is r, low s, and v from 0 to 3.

    eth-keys recovers: with coincurve where it is installed, else in Python. A v of 2 or 3 is refused as a mismatch.
    It needs an r below 2^129, which no signer ever finds.
    """
    _numbers(signature[:64], SECP256K1_ORDER, SECP256K1_ORDER // 2)
    if len(signature) != 65 or signature[64] > 3:
        raise SignatureMalformed("v is none of 0 to 3")
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    try:
        signer = Signature(signature_bytes=signature).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        raise SignatureMismatch("no key signed this") from None
    return bytes(signer.to_compressed_bytes())


def warm() -> None:
    """Import what is slow to import."""
    for library in ("eth_keys.datatypes", "cryptography.hazmat.primitives.asymmetric.ec", "nacl.signing"):
        importlib.import_module(library)


def _ecdsa(curve: EllipticCurve, key: bytes, signed: bytes, numbers: tuple[int, int]) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        point = EllipticCurvePublicKey.from_encoded_point(curve, b"\4" + key)
        point.verify(encode_dss_signature(*numbers), signed, ECDSA(SHA256()))
    except (ValueError, InvalidSignature):
        raise SignatureMismatch("signed by another key") from None


def _numbers(signature: bytes, order: int, largest_s: int) -> tuple[int, int]:
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if len(signature) != 64 or not 0 < r < order or not 0 < s <= largest_s:
        raise SignatureMalformed("not 64 bytes, r or s out of range, or s high")
    return r, s
