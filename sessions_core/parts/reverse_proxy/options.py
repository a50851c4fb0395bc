"""Which proxies are believed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReverseProxySettings:
    """Which proxies are believed."""

    trusted_proxies: int = 0
    """How many reverse proxies in front set X-Forwarded-For, -Proto and -Host."""
    forwarded_prefix: bool = False
    """True if they set X-Forwarded-Prefix too. One that does not would pass on what a client sent."""
