"""The settings of rate limits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimitSettings:
    """How often; "0" for any number."""

    challenges_per_address: str = "600/minute"
    """How many texts to sign one IPv4 address, or one /64 of IPv6, may ask for."""
    challenges_per_browser: str = "60/minute"
    """The same for one browser."""
    sign_ins_per_address: str = "300/minute"
    """How many sign-ins may come from one address, refused ones included."""
    sign_ins_per_browser: str = "30/minute"
    """The same for one browser."""
    refreshes_per_address: str = "1200/minute"
    """How many refreshes of tokens may come from one address."""
