"""The settings of contract wallets: which nodes are asked, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import Misconfigured
from ...settings import DAY, MINUTE, PREFIX, Settings, is_safe_url, refuse_outside


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractWalletSettings:
    """Where to ask about contracts."""

    rpc_urls: Mapping[str, str] = field(default_factory=dict, repr=False)
    """For each CAIP-2 id the https:// URL of a node to ask about contract wallets; without one they can't sign in."""
    rpc_timeout_ms: int = 3000
    """How long one question to a node may take in all, in milliseconds."""
    contract_check_seconds: int = 15 * MINUTE
    """How often a contract is asked whether it still accepts the signature of a session that is in use."""

    def refuse_unsafe(self, settings: Settings) -> None:
        """Raise `Misconfigured` for a node that can't be relied on, or a number outside its limits."""
        # The sentences leave the URL out: it may hold a key, and they end up in logs.
        for chain_id, url in self.rpc_urls.items():
            if not chain_id.startswith("eip155:") or chain_id not in settings.chains:
                raise Misconfigured(
                    f"{PREFIX}RPC_URLS names {chain_id!r}. It takes eip155 chains that {PREFIX}CHAINS has: "
                    "add it there, or remove it here."
                )
            if not is_safe_url(url, plain=settings.development):
                raise Misconfigured(
                    f"{PREFIX}RPC_URLS has no good URL for {chain_id}. Write it like https://rpc.example.org/key, in "
                    "ASCII, without user and fragment; http:// is for this machine in development only."
                )
        refuse_outside(self, "rpc_timeout_ms", 100, 10_000)
        refuse_outside(self, "contract_check_seconds", MINUTE, DAY)
