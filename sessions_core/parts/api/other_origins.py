"""CORS for the pages of `SESSIONS_CORE_ALLOWED_ORIGINS` (Fetch Standard, section 3.2).

They bring a session token. `Access-Control-Allow-Credentials` is never sent, so no browser lets them use cookies, and
`allow` refuses a change that brings cookies anyway. Only origins of the setting are named, and `Vary: Origin` keeps
caches from handing the answer for one to another.

An answer that names an allowed origin by itself, as Flask-CORS does, is left as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Request
from werkzeug.datastructures import Headers

from ...errors import CrossSiteRequest
from ...settings import PREFIX
from ...web.csrf import CONFIRMATION_HEADER

_REQUEST_HEADERS = f"Authorization, Content-Type, {CONFIRMATION_HEADER}, X-Request-ID"
_ANSWER_HEADERS = "Retry-After, WWW-Authenticate, X-Request-ID"
_SECONDS = "600"  # for which a browser need not ask again


def allow(request: Request, origin: str, origins: Iterable[str]) -> bool:
    """Return whether `origin` is one of `origins`, and its page sent this request without cookies.

    Raises `CrossSiteRequest` for one with cookies: it would act for the user without a token.
    """
    if origin not in origins:
        return False
    if "Cookie" in request.headers:
        cause = (
            f"A page of {origin!a} sent cookies. Pages of {PREFIX}ALLOWED_ORIGINS bring a session token "
            'instead: fetch with credentials: "omit".'
        )
        raise CrossSiteRequest("Origin", origin, cause=cause)
    return True


class OtherOrigins:
    """Answers preflights that Flask has answered with `Allow`, and names the origin that may read an answer."""

    def __init__(self, app: Callable[..., Iterable[bytes]], origins: Iterable[str]) -> None:
        self._app = app
        self._allowed = frozenset(origins)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application with a `start_response` that adds the headers."""
        origin = environ.get("HTTP_ORIGIN")
        preflight = environ["REQUEST_METHOD"] == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ

        def start(status: str, pairs: list[tuple[str, str]], exc_info: Any = None) -> Any:
            headers = Headers(pairs)
            if origin in self._allowed and "Access-Control-Allow-Origin" not in headers:
                headers["Access-Control-Allow-Origin"] = origin
                if preflight:
                    headers["Access-Control-Allow-Methods"] = headers.get("Allow", "")
                    headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
                    headers["Access-Control-Max-Age"] = _SECONDS
                else:
                    headers["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
            varies = [name.strip() for value in headers.getlist("Vary") for name in value.split(",") if name.strip()]
            if "origin" not in map(str.lower, varies):
                headers["Vary"] = ", ".join([*varies, "Origin"])
            return start_response(status, headers.to_wsgi_list(), exc_info)

        return self._app(environ, start)
