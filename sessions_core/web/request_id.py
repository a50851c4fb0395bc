"""One id for each request: on its error page, in its lines in the log, and in the header of its answer."""

from __future__ import annotations

import os
import re
from typing import Any

from flask import has_request_context
from flask.globals import request_ctx

HEADER = "X-Request-ID"

_KEY = "sessions_core.request_id"
# Ids of proxies: UUIDs, hex, and little else. The id goes into logs, a header and a page, so nothing else is
# accepted.
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


def assign(environ: dict[str, Any]) -> str:
    """Return the id of a request: the one that a proxy, or the client, has given to it, or else a new one.

    Clients can choose it, so it is good for finding log lines, but proves nothing.
    """
    given = environ.get("HTTP_X_REQUEST_ID", "")
    found: str = given if _WELL_FORMED.fullmatch(given) else os.urandom(8).hex()
    environ[_KEY] = found
    return found


def current() -> str | None:
    """Return the id of the current request, `None` outside of a request."""
    if not has_request_context():
        return None
    environ = request_ctx.request.environ
    if _KEY not in environ:  # a request that a test or a command made up, past the server
        environ[_KEY] = os.urandom(8).hex()
    return str(environ[_KEY])
