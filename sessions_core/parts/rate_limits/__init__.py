"""Limits how often one network, and one browser, may ask for a challenge, sign in, or refresh a token."""

from __future__ import annotations

from flask import Flask

from ...part import Part
from .options import RateLimitSettings


class RateLimits(Part):
    """Refuses too many requests from one address or one browser."""

    libraries = {"limits": "limits>=5.8"}
    settings = RateLimitSettings
    redis_keys = {"limit:<digest>": "string: how many attempts came from an address or a browser"}

    def setup(self, app: Flask) -> None:
        """Read the limits; refuse a malformed one."""
        from .rate_limits import RateLimits as Counted

        settings = self.services.settings
        self.limits = Counted(self.services.connection, settings.redis_prefix, settings.secrets, self.options)

    def on_attempt(self, kind: str, address: str, browser: str | None) -> None:
        """Count the attempt; raise `RateLimited` for one too many."""
        self.limits.hit(kind, address, browser)
