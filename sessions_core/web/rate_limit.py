"""Counts the request that is being handled towards a limit."""

from __future__ import annotations

from flask import request

from .guards import wallet_session
from .services import services


def spend(name: str) -> None:
    """Count this request as one of those that `RateLimits` knows by this name; raise `RateLimited` for one too many.

    The address is that of the connection. Proxies are believed only as far as `trusted_proxies` says.
    """
    services().rate_limits.spend(name, request.remote_addr or "", wallet_session().browser)
