"""c32check, as Stacks writes addresses (github.com/stacks-network/c32check, SIP-005).

The reader accepts the one spelling that the writer makes, and raises `ValueError` for every other.
"""

from __future__ import annotations

import hashlib

from ...sign_in.encodings import read_digits, write_digits

C32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def write_stacks(version: int, hash160: bytes) -> str:
    """Return a Stacks address: `S`, the version (0 to 31) as one digit, then hash and checksum in c32."""
    return "S" + C32[version] + write_digits(hash160 + _checksum(version, hash160), C32)


def read_stacks(address: str) -> tuple[int, bytes]:
    """Return version and hash160 (20 bytes) of a Stacks address."""
    version, data = C32.index(address[1:2]), read_digits(address[2:], C32)
    hash160 = data[:-4]
    if len(data) != 24 or write_stacks(version, hash160) != address:
        raise ValueError("wrong length or checksum")
    return version, hash160


def _checksum(version: int, data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(bytes([version]) + data).digest()).digest()[:4]
