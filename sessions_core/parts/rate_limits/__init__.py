"""How often one network, and one browser, may ask for a challenge, sign in, or refresh a token."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask

from ...part import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
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


class RateLimits(Part):
    """Refuses requests of which there are too many, by the address and the browser that they come from."""

    libraries = {"limits": "limits>=5.8"}
    settings = Options
    redis_keys = {"limit:*": "counters of `limits`, one for each address and browser; gone with their window"}

    def setup(self, app: Flask) -> None:
        """Read the limits; refuse what is none."""
        from .rate_limits import RateLimits as Counted

        settings = self.services.settings
        self.limits = Counted(self.services.connection, settings.redis_prefix, settings.secrets, self.options)

    def on_attempt(self, kind: str, address: str, browser: str | None) -> None:
        """Count the attempt; raise `RateLimited` for one too many."""
        self.limits.hit(kind, address, browser)
