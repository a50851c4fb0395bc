"""Wallets of tests: a key from a seed, and real signatures."""

from __future__ import annotations

import hashlib
import re

from .errors import ChainUnknown
from .signers import SIGNERS

_REFERENCES = {"eip155": r"[1-9][0-9]*", "stacks": "1|2147483648", "solana": "[A-Za-z0-9]{32}", "icp": "[0-9a-f]{32}"}


class TestWallet:
    """A wallet with one key that signs for real.

    `chain` is a CAIP-2 id such as "eip155:137", or a namespace alone: "eip155", "solana", "stacks" or "icp", which
    means its main network. The same `seed` gives the same key, on every chain of a namespace the same one. Everyone
    can compute these keys: never send money to them.

    Raises `ChainUnknown`, `PackageMissing` if the library of the chain is not installed, and `PartMissing` if the
    folder of its part was deleted.
    """

    __test__ = False  # no class of tests, although pytest would take the name for one

    def __init__(self, chain: str = "eip155:1", seed: str | int = "") -> None:
        namespace, _, reference = chain.partition(":")
        signer = SIGNERS.get(namespace)
        if signer is None or (reference and not re.fullmatch(_REFERENCES[namespace], reference, re.ASCII)):
            raise ChainUnknown(
                f"There is no test wallet for {chain!r}. Give a CAIP-2 id such as 'eip155:1', or one of "
                f"{', '.join(map(repr, SIGNERS))}."
            )
        self._signer = signer
        self.chain = chain if reference else signer.chain
        """CAIP-2."""
        self.seed = seed
        # Each hash is a valid key: on secp256k1 all but one in 2^128 are.
        self.key = hashlib.sha256(f"sessions_core.testing {namespace} {seed}".encode()).digest()
        """The private key, 32 bytes."""
        self.address = signer.address(self.key, self.chain.partition(":")[2])
        """As the chain writes it."""

    @property
    def account(self) -> str:
        """CAIP-10."""
        return f"{self.chain}:{self.address}"

    def on(self, chain: str) -> TestWallet:
        """Return the wallet of the same seed on another chain: of one namespace it has the same key."""
        return TestWallet(chain, self.seed)

    def sign(self, text: str) -> str:
        """Return the signature of a text as wallets of the chain give it to a page."""
        return self._signer.sign(self.key, text)

    def __repr__(self) -> str:
        return f"TestWallet({self.chain!r}, seed={self.seed!r})"
