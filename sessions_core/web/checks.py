"""Remembers the checks of a request, so that none that is costly or works only once is repeated.

The guard checks a request before its view, and each guarded function checks again what it declares (see `guards`).
Kept on the request itself: `flask.g` outlives a request that runs inside an earlier application context.
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

    `guard`: the check of its route. `site`: it comes from this site. `token`: its CSRF token is valid. `followed`:
    its session is up to date with its account. `access` and `live`: the last declaration that admitted it, and the
    session at that time. `fresh`: by session and action, the age that was allowed for a signature; 0 means one for
    this request. `signature`: the action, and its seconds, that consumed the signature of this request.
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
    """Return the checks that this request has passed."""
    kept = vars(request)
    found: Checks | None = kept.get(_CHECKS)
    if found is None:
        found = kept[_CHECKS] = Checks()
    return found
