"""Stacks: `stx_signMessage` by a key, over a text that is laid out as in EIP-4361.

Wallets sign SHA-256 over a prefix, the length of the text, and the text. The profile of CAIP-122 for Stacks forgets
the prefix; no wallet does. An older prefix, "Stacks Message Signing", is refused.
"""

from __future__ import annotations

import hashlib
import re

from ...errors import SignatureMalformed, SignatureMismatch
from ...sign_in import curves, encodings
from ...sign_in.accounts import Account
from ...sign_in.messages import Layout

_PREFIX = b"\x17Stacks Signed Message:\n"
_SIGNATURE = re.compile(r"(vrs:)?([0-9a-f]{130})", re.ASCII)


class Stacks:
    """Verifies signatures of accounts that one key holds."""

    namespace = "stacks"
    layout = Layout(account_kind="Stacks")
    max_signature = 134

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Recover the signer of `message` and compare the hash of their compressed key with the account's.

        `signature` is 130 lower-case hex digits without 0x: r, s, v with 0 < r < n, 0 < s ≤ n/2 and v from 0 to 3. A
        wallet that gives v first (some paths through a Ledger) is named so by the page: `vrs:` and the 130 digits. It
        is never guessed from the digits: one in 64 signatures reads as either.
        """
        found = _SIGNATURE.fullmatch(signature)
        if found is None:
            raise SignatureMalformed("not 130 hex digits")
        raw = bytes.fromhex(found[2])
        if found[1]:
            raw = raw[1:] + raw[:1]
        text = message.encode()
        digest = hashlib.sha256(_PREFIX + _length(text) + text).digest()
        if _hash160(curves.recover_secp256k1(digest, raw)) != encodings.read_stacks(account.address)[1]:
            raise SignatureMismatch("signed by another key")

    def warm(self) -> None:
        """Import the curve, and RIPEMD-160, which OpenSSL does not always have."""
        curves.warm()
        _hash160(b"")


def _length(text: bytes) -> bytes:
    """Return Bitcoin's CompactSize: one byte up to 252, then 0xfd and two, the low one first; a text has 2 kB."""
    return bytes([len(text)]) if len(text) < 253 else b"\xfd" + len(text).to_bytes(2, "little")


def _hash160(key: bytes) -> bytes:
    from Crypto.Hash import RIPEMD160

    return RIPEMD160.new(hashlib.sha256(key).digest()).digest()
