"""Attempts that visitors can make without limit: challenges, sign-ins, refreshes of tokens."""

from __future__ import annotations

from flask import request

from .guards import wallet_session
from .services import current_services


def count(kind: str) -> None:
    """Report this request as one of `challenges`, `sign_ins` or `refreshes`; a part may refuse it (`RateLimited`).

    The address is that of the connection, or the one that a part took from a header of a trusted proxy.
    """
    for hear in current_services().hooks("on_attempt"):
        hear(kind, request.remote_addr or "", wallet_session().browser)
