"""Ethereum and other EVM chains (CAIP-2 namespace eip155)."""

from __future__ import annotations

import sys

from ...part import Part
from .verifier import Eip155

# Recovers signers 100 times faster than the pure Python of eth-keys, which a flood of signatures would stop.
# coincurve has no wheel for Python 3.14 and later: there eth-keys does it, in 5 ms.
_COINCURVE = {"coincurve": "coincurve>=20"} if sys.version_info < (3, 14) else {}


class Ethereum(Part):
    """Sign-in by accounts that a key holds (EIP-191, EIP-4361)."""

    libraries = {"eth_account": "eth-account>=0.13.4", "Crypto": "pycryptodome>=3.20", **_COINCURVE}
    verifiers = (Eip155(),)
    slots = {"wallets_to_install": "sessions/_ethereum_wallets.html"}
    wallet_modules = {"eip155": "eip155.js"}
