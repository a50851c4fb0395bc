"""Solana: `solana:signMessage`, or `solana:signIn` that signs the same text (Sign-In-With-Solana; CAIP-122).

The signed bytes are the text itself, and the address is the key, so nothing has to be recovered.
"""

from __future__ import annotations

import importlib
import re

from ...errors import AccountKeyless, AccountMalformed, SignatureMalformed
from ...sign_in import curves, encodings
from ...sign_in.accounts import Account, Chain
from ...sign_in.messages import Layout
from ...sign_in.verifiers import Verifier

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SIGNATURE = re.compile(f"[{BASE58}]{{64,88}}", re.ASCII)
_REFERENCE = re.compile(f"[{BASE58}]{{32}}", re.ASCII)
_ADDRESS = re.compile(f"[{BASE58}]{{32,44}}", re.ASCII)


class Solana(Verifier):
    """Verifies signatures of accounts whose address is an Ed25519 key."""

    namespace = "solana"
    order = 30
    name = "Solana"
    chains = (
        Chain("solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp", "Solana Mainnet", "mainnet"),
        Chain("solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1", "Solana Devnet", "testnet"),
        Chain("solana:4uhcVJyU9pJkvQyS88uRDiswHXSCkY3z", "Solana Testnet", "testnet"),
    )
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

    def address(self, reference: str, address: str) -> str:
        """Return the address, which is the key and has one spelling."""
        if not _REFERENCE.fullmatch(reference):
            raise AccountMalformed("not the beginning of a genesis hash", reference)
        if not _ADDRESS.fullmatch(address):
            raise AccountMalformed("not 32 to 44 characters of base58")
        key = encodings.read_digits(address, BASE58)
        if len(key) != 32:
            raise AccountMalformed("not 32 bytes")
        if not curves.is_ed25519_key(key):
            # What programs own (token accounts, vaults) is off the curve on purpose.
            raise AccountKeyless("not a key, but the address of a program's account")
        return address

    def verify(self, account: Account, message: str, signature: str, now: float) -> None:
        """Check `signature`, 64 bytes in base58, over the bytes of `message` with the account's own key."""
        if not _SIGNATURE.fullmatch(signature):
            raise SignatureMalformed("not 64 to 88 characters of base58")
        raw = encodings.read_digits(signature, BASE58)
        curves.ed25519(encodings.read_digits(account.address, BASE58), message.encode(), raw)

    def warm(self) -> None:
        """Import the curve."""
        importlib.import_module("nacl.signing")
