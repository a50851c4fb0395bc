"""Solana: `solana:signMessage`, or `solana:signIn` that signs the same text (Sign-In-With-Solana; CAIP-122).

The signed bytes are the text itself, and the address is the key, so nothing has to be recovered.
"""

from __future__ import annotations

import re

from ...errors import SignatureMalformed
from ...sign_in import curves, encodings
from ...sign_in.accounts import Account
from ...sign_in.messages import Layout

_SIGNATURE = re.compile(f"[{encodings.BASE58}]{{64,88}}", re.ASCII)


class Solana:
    """Verifies signatures of accounts whose address is an Ed25519 key."""

    namespace = "solana"
    layout = Layout(
        account_kind="Solana",
        scheme=False,
        blank_lines=1,
        # The text names a cluster; CAIP-2 the first 32 characters of its genesis hash.
        chain_ids={
            "5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp": "mainnet",
            "EtWTRABZaYq6iMfeYKouRu166VU2xqa1": "devnet",
            "4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z": "testnet",
        },
    )
    max_signature = 88

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Check `signature`, 64 bytes in base58, over the bytes of `message` with the account's own key."""
        if not _SIGNATURE.fullmatch(signature):
            raise SignatureMalformed("not 64 to 88 characters of base58")
        raw = encodings.read_digits(signature, encodings.BASE58)
        curves.ed25519(encodings.read_digits(account.address, encodings.BASE58), message.encode(), raw)

    def warm(self) -> None:
        """Import the curve."""
        curves.warm()
