"""The settings of trial wallets: whether there are any, and how long they are kept."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass

from ...access.policy import SessionType
from ...errors import Misconfigured
from ...settings import DAY, PREFIX, Settings, refuse_outside
from ...sign_in.accounts import CHAINS


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialWalletSettings:
    """Whether users may try the site without a wallet of their own."""

    pregenerated_wallets: bool | None = None
    """Whether users may try the site with a wallet that is made for them; None: in development only."""
    pregenerated_days: int = 30
    """How many days such a wallet is kept without being used."""

    def chain(self, settings: Settings) -> str | None:
        """Return the chain of the wallets that are made here, a testnet if there is one; `None` if none are made."""
        wanted = settings.development if self.pregenerated_wallets is None else self.pregenerated_wallets
        chains = [chain for chain in settings.chains if chain.startswith("eip155:")] if wanted else []
        return next((chain for chain in chains if CHAINS[chain].network == "testnet"), chains[0] if chains else None)

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` where there is no chain for the wallets, or nothing signs with their keys safely."""
        chain = self.chain(settings)
        if self.pregenerated_wallets and chain is None:
            raise Misconfigured(
                f"{PREFIX}PREGENERATED_WALLETS = True needs a chain of Ethereum in {PREFIX}CHAINS, "
                'such as "eip155:11155111". Add one, or remove it.'
            )
        refuse_outside(self, "pregenerated_days", 1, 365)
        # Without coincurve their keys would sign in Python, whose time depends on the key.
        if chain is not None and not settings.development and importlib.util.find_spec("coincurve") is None:
            raise Misconfigured(
                f"{PREFIX}PREGENERATED_WALLETS needs coincurve outside development: use Python 3.13 or earlier, or "
                "run pip install coincurve, which needs a C compiler."
            )

    def refuse_outlived(self, types: Iterable[SessionType]) -> None:
        """Raise `Misconfigured` if a session could outlive its wallet, which is used when the session starts, and
        whenever its clocks start again.
        """
        least = -(-max(each.absolute_seconds for each in types) // DAY)
        if self.pregenerated_days < least:
            raise Misconfigured(f"{PREFIX}PREGENERATED_DAYS must be between {least} and 365.")
