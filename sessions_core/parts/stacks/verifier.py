"""Stacks: `stx_signMessage` by a key, over a text that is laid out as in EIP-4361.

Wallets sign SHA-256 over a prefix, the length of the text, and the text. The profile of CAIP-122 for Stacks forgets
the prefix; no wallet does. An older prefix, "Stacks Message Signing", is refused.
"""

from __future__ import annotations

import hashlib
import importlib
import re

from ...errors import AccountKeyless, AccountMalformed, SignatureMalformed, SignatureMismatch
from ...sign_in.accounts import Account, Chain, Network, chain
from ...sign_in.curves import SECP256K1_ORDER, ecdsa_numbers
from ...sign_in.messages import Layout
from ...sign_in.verifiers import Verifier
from .c32check import C32, read_stacks

_PREFIX = b"\x17Stacks Signed Message:\n"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ADDRESS = re.compile(f"S[{C32}]{{27,40}}", re.ASCII)
# Version bytes of addresses: of one key, by network; of several keys, or wrapped (SIP-005).
_SINGLE: dict[Network, tuple[int, ...]] = {"mainnet": (22,), "testnet": (26,), "unsupported": (22, 26)}
_MULTIPLE = (20, 21)
_SIGNATURE = re.compile(r"(vrs:)?([0-9a-f]{130})", re.ASCII)


class Stacks(Verifier):
    """Verifies signatures of accounts that one key holds."""

    namespace = "stacks"
    order = 20
    name = "Stacks"
    chains = (
        Chain("stacks:1", "Stacks Mainnet", "mainnet"),
        Chain("stacks:2147483648", "Stacks Testnet", "testnet"),
    )
    layout = Layout(account_kind="Stacks")
    max_signature = 134

    def address(self, reference: str, address: str) -> str:
        """Return the address, which carries a checksum and has one spelling."""
        if not _NUMBER.fullmatch(reference):
            raise AccountMalformed("chain id is not a plain decimal", reference)
        if not _ADDRESS.fullmatch(address):
            raise AccountMalformed("not 28 to 41 characters of c32")
        try:
            version, _ = read_stacks(address)
        except ValueError as error:
            # A shorter text is no whole address, except for keys whose hash begins with zeros.
            raise AccountMalformed("not c32check", wrong_checksum=len(address) >= 40) from error
        if version in _MULTIPLE:
            raise AccountKeyless("SM and SN addresses are of several keys, or wrapped", version)
        if version not in _SINGLE[chain(f"stacks:{reference}").network]:
            raise AccountMalformed("version byte of another network", version)
        return address

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
        if _hash160(recover_secp256k1(digest, raw)) != read_stacks(account.address)[1]:
            raise SignatureMismatch("signed by another key")

    def warm(self) -> None:
        """Import the curve, and RIPEMD-160, which OpenSSL does not always have."""
        importlib.import_module("eth_keys.datatypes")
        _hash160(b"")


def recover_secp256k1(digest: bytes, signature: bytes) -> bytes:
    """Return the compressed key that signed a digest of 32 bytes: `signature` is r, low s, and v from 0 to 3.

    eth-keys recovers: with coincurve where it is installed, else in Python. A v of 2 or 3 is refused as a mismatch.
    It needs an r below 2^129, which no signer ever finds.
    """
    ecdsa_numbers(signature[:64], SECP256K1_ORDER, SECP256K1_ORDER // 2)
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


def _length(text: bytes) -> bytes:
    """Return Bitcoin's CompactSize: one byte up to 252, then 0xfd and two, the low one first; a text has 2 kB."""
    return bytes([len(text)]) if len(text) < 253 else b"\xfd" + len(text).to_bytes(2, "little")


def _hash160(key: bytes) -> bytes:
    from Crypto.Hash import RIPEMD160

    return RIPEMD160.new(hashlib.sha256(key).digest()).digest()
