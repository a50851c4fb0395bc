"""One id for each request: on its error page, in its lines in the log, and in the header of its answer."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from flask import has_request_context
from flask.globals import request_ctx

HEADER = "X-Request-ID"

_KEY = "sessions_core.request_id"
# Ids of proxies: UUIDs, hex, and little else. The id goes into logs, a header and a page, so nothing else is
# accepted.
_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


class RequestIds:
    """Takes the id that a proxy, or the client, has given to a request, or makes one; the answer repeats it.

    Clients can choose it, so it is good for finding log lines, but proves nothing.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application with a `start_response` that adds the header."""
        given = environ.get("HTTP_X_REQUEST_ID", "")
        request_id = environ[_KEY] = given if _WELL_FORMED.fullmatch(given) else secrets.token_hex(8)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            others = [header for header in headers if header[0].lower() != "x-request-id"]
            return start_response(status, [*others, (HEADER, request_id)], exc_info)

        return self._app(environ, start)


def current() -> str | None:
    """Return the id of the current request, `None` outside of a request."""
    if not has_request_context():
        return None
    environ = request_ctx.request.environ
    if _KEY not in environ:  # a request that a test or a command made up, past the server
        environ[_KEY] = secrets.token_hex(8)
    return str(environ[_KEY])
