"""What several kinds of accounts need of the curves that they sign on.

A check returns if `key` signed and raises otherwise: `SignatureMalformed` for what is no signature on the curve at
all, `SignatureMismatch` for one of another key or over other bytes. Numbers are big-endian, except in Ed25519.
Libraries are imported by the first signature that needs them; the part that brings the account names the library.
"""

from __future__ import annotations

from ..errors import SignatureMalformed, SignatureMismatch

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
    """Whether 32 bytes are a usable public key: on the curve, in its canonical form, not of small order."""
    from nacl.bindings import crypto_core_ed25519_is_valid_point

    return crypto_core_ed25519_is_valid_point(key)


def ecdsa_numbers(signature: bytes, order: int, largest_s: int) -> tuple[int, int]:
    """Return r and s of an ECDSA signature of 64 bytes; raise `SignatureMalformed` if one is out of range."""
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if len(signature) != 64 or not 0 < r < order or not 0 < s <= largest_s:
        raise SignatureMalformed("not 64 bytes, r or s out of range, or s high")
    return r, s
