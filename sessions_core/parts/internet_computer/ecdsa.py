"""ECDSA on the curves that keys of principals are on, each signature in one encoding.

A check returns if `key` signed and raises otherwise: `SignatureMalformed` for what is no signature on the curve at
all, `SignatureMismatch` for one of another key or over other bytes. Numbers are big-endian.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import SignatureMismatch
from ...sign_in.curves import P256_ORDER, SECP256K1_ORDER, ecdsa_numbers

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurve


def p256(key: bytes, signed: bytes, signature: bytes) -> None:
    """Check an ECDSA signature on P-256 over SHA-256: `key` is x and y of the point, `signature` r and s.

    s may be high or low: the keys of browsers (WebCrypto) make both, and nothing here takes a signature for a name.
    """
    numbers = ecdsa_numbers(signature, P256_ORDER, P256_ORDER - 1)
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1

    _ecdsa(SECP256R1(), key, signed, numbers)


def secp256k1(key: bytes, signed: bytes, signature: bytes) -> None:
    """Check an ECDSA signature on secp256k1 over SHA-256: `key` is x and y of the point, `signature` r and low s."""
    numbers = ecdsa_numbers(signature, SECP256K1_ORDER, SECP256K1_ORDER // 2)
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1

    _ecdsa(SECP256K1(), key, signed, numbers)


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
