"""Deletes former cookies in the browser, however late in a request that turns out to be due.

A user may sign out by `session.clear()` or `logout_user()`. The session ends when Flask saves it: after all functions
that Flask runs after a request. So the deletion is written by a WSGI layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flask import Request
from werkzeug.http import dump_cookie

_KEY = "sessions_core.migration.forget"


class FormerCookies:
    """The former cookies that this site deletes: by name, each with its attributes."""

    def __init__(self, attributes: Mapping[str, Mapping[str, Any]]) -> None:
        self._attributes = attributes

    def path(self, name: str) -> str:
        """Return the path of a cookie."""
        return str(self._attributes.get(name, {}).get("path", "/"))

    def forget(self, request: Request) -> None:
        """Delete what the request brought of them, with its answer."""
        brought = self._attributes.keys() & request.cookies.keys()
        request.environ.setdefault(_KEY, set()).update(brought)

    def layer(self, app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
        """Return the WSGI application with the deletions in its answers."""

        def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
            due: set[str] = environ.setdefault(_KEY, set())

            def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
                deletions = [
                    ("Set-Cookie", dump_cookie(name, expires=0, max_age=0, **self._attributes[name]))
                    for name in sorted(due)
                ]
                return start_response(status, [*headers, *deletions], *rest)

            return app(environ, start)

        return answer
