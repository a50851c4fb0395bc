"""Attempts that strangers can make without end: challenges, sign-ins, refreshes of tokens."""

from __future__ import annotations

from flask import request

from .guards import wallet_session
from .services import current_services


def count(kind: str) -> None:
    """Report this request as one of `challenges`, `sign_ins` or `refreshes`; a part may refuse it (`RateLimited`).

    The address is that of the connection, or what a part has put in its place that believes a proxy.
    """
    for hear in current_services().hooks("on_attempt"):
        hear(kind, request.remote_addr or "", wallet_session().browser)
