"""Ethereum and its networks: `personal_sign` by a key (EIP-191 version 0x45, EIP-4361).

eth-account recovers, with coincurve underneath. It accepts more than one encoding of a signature, so the one
canonical encoding is demanded first: otherwise the same approval would have several forms.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

from ...errors import SignatureMalformed, SignatureMismatch
from ...sign_in.accounts import Account
from ...sign_in.messages import EIP4361

_SIGNATURE = re.compile(r"0x[0-9a-fA-F]{130}", re.ASCII)
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1 (SEC 2, section 2.4.1)


class Eip155:
    """Verifies signatures of externally owned accounts."""

    namespace = "eip155"
    layout = EIP4361
    max_signature = 8002  # 4000 bytes of a contract wallet; a key's has 132

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Recover the signer of `message` and compare its 20 bytes with the account's.

        `signature` is `0x` and 130 hex digits: r, s, v with 0 < r < n, 0 < s ≤ n/2 (EIP-2) and v one of 0, 1, 27, 28.
        """
        canonical = _canonical(signature)
        from eth_account import Account as Recovery  # 0.6 s to import: see `warm`
        from eth_account.messages import encode_defunct

        recovered = Recovery.recover_message(encode_defunct(text=message), signature=canonical)
        if bytes.fromhex(recovered[2:]) != bytes.fromhex(account.address[2:]):
            raise SignatureMismatch("signed by another key")

    def warm(self) -> None:
        """Import eth-account, and make sure that it uses coincurve where that is installed."""
        from eth_account import Account as Recovery

        backend = type(Recovery._keys.backend).__name__
        if "CoinCurve" not in backend and find_spec("coincurve"):
            raise RuntimeError(f"eth-keys uses {backend}, 100 times slower than coincurve: unset ECC_BACKEND_CLASS")


def _canonical(signature: str) -> bytes:
    if not _SIGNATURE.fullmatch(signature):
        raise SignatureMalformed("not 0x and 130 hex digits")
    raw = bytes.fromhex(signature[2:])
    r, s, v = int.from_bytes(raw[:32]), int.from_bytes(raw[32:64]), raw[64]
    if not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
        raise SignatureMalformed("r or s out of range, or s high")
    if v not in (0, 1, 27, 28):
        raise SignatureMalformed("v is none of 0, 1, 27, 28")
    return raw[:64] + bytes([v if v >= 27 else v + 27])
