"""Solana (CAIP-2 namespace solana)."""

from __future__ import annotations

from ...part import Part
from .verifier import Solana as Verifier


class Solana(Part):
    """Sign-in by accounts whose address is an Ed25519 key (Sign-In-With-Solana)."""

    libraries = {"nacl": "pynacl>=1.6.2"}  # CVE-2025-69277 before that
    verifiers = (Verifier(),)
    slots = {"wallets_to_install": "sessions/_solana_wallets.html"}
    wallet_modules = {"solana": "solana.js"}
