"""How chains write bytes down: base58 (Solana), c32check (Stacks), principals (Internet Computer).

A reader accepts the one spelling that its writer makes, and raises `ValueError` for every other. Common libraries
strip blanks, take O for 0 and lower case for upper: then one account has several names, and who compares names is
fooled. Readers take quadratic time, so limit the length first.

Sources: c32check (github.com/stacks-network/c32check), SIP-005; the Internet Computer interface specification,
"Textual representation of principals".
"""

from __future__ import annotations

import base64
import hashlib
import zlib

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
C32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def write_digits(data: bytes, alphabet: str) -> str:
    """Return bytes as one big-endian number in the digits of `alphabet`; each leading zero byte is one zero digit."""
    zeros, number, digits = len(data) - len(data.lstrip(b"\0")), int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        digits = alphabet[digit] + digits
    return alphabet[0] * zeros + digits


def read_digits(text: str, alphabet: str) -> bytes:
    """Return the bytes that `write_digits` made the text of."""
    zeros, number = len(text) - len(text.lstrip(alphabet[0])), 0
    for digit in text:
        number = number * len(alphabet) + alphabet.index(digit)
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    if write_digits(data, alphabet) != text:
        raise ValueError("another spelling")
    return data


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


def write_principal(data: bytes) -> str:
    """Return the text of a principal: CRC-32 and bytes in base32, lower case, in groups of five."""
    text = base64.b32encode(zlib.crc32(data).to_bytes(4) + data).decode().rstrip("=").lower()
    return "-".join(text[at : at + 5] for at in range(0, len(text), 5))


def read_principal(text: str) -> bytes:
    """Return the bytes of a principal: none for the management canister, 29 at most."""
    letters = text.replace("-", "").upper()
    data = base64.b32decode(letters + "=" * (-len(letters) % 8))[4:]
    if len(data) > 29 or write_principal(data) != text:
        raise ValueError("wrong checksum or spelling")
    return data


def _checksum(version: int, data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(bytes([version]) + data).digest()).digest()[:4]
