"""What has been checked for a request, so that no check that costs something, or works once, is done twice.

The guard checks a request before its view, and each guarded function checks again what it declares (see `guards`).
Kept on the request itself: `flask.g` outlives a request where an application context was there before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Request

from ..sessions.record import LoadedSession

_CHECKS = "_sessions_checks"


@dataclass(slots=True)
class Checks:
    """The checks that one request has passed.

    `guard`: that of its route. `site`: it comes from this site. `token`: its CSRF token is good. `followed`: its
    session is in step with its account. `access` and `live`: the last declaration that let it in, and the session it
    did so for. `fresh`: by session and action, how old a signature was allowed to be; 0 is one for this request.
    `signature`: the action, and the seconds it was asked with, that the signature of this request was spent on.
    """

    guard: bool = False
    site: bool = False
    token: bool = False
    followed: bool = False
    access: Any = None
    live: LoadedSession | None = None
    fresh: dict[tuple[str, str], int] = field(default_factory=dict)
    signature: tuple[str, int] | None = None


def checks_of(request: Request) -> Checks:
    """Return what has been checked for this request."""
    found: Checks = vars(request).setdefault(_CHECKS, Checks())
    return found
