"""Stacks (CAIP-2 namespace stacks)."""

from __future__ import annotations

from ...part import Part
from .verifier import Stacks as Verifier


class Stacks(Part):
    """Sign-in by accounts that one key holds (`stx_signMessage`)."""

    libraries = {"eth_keys": "eth-account>=0.13.4", "Crypto": "pycryptodome>=3.20"}
    verifiers = (Verifier(),)
    slots = {"wallets_to_install": "sessions/_stacks_wallets.html"}
    wallet_modules = {"stacks": "stacks.js"}
