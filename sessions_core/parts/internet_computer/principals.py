"""The text of principals (Internet Computer interface specification, "Textual representation of principals").

The reader accepts the one spelling that the writer makes, and raises `ValueError` for every other.
"""

from __future__ import annotations

import base64
import zlib


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
