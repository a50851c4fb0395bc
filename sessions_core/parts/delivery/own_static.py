"""The application's own static folder: `url_for("static", filename=…)` has the file's digest in `v`."""

from __future__ import annotations

import hashlib
import os
from functools import wraps
from typing import Any

from flask import Flask, Response, request
from werkzeug.security import safe_join

from .sending import IMMUTABLE

_PARAMETER = "v"


class OwnStatic:
    """Lets browsers keep files of `static/` that are asked for by their digest.

    Each file has its own digest, and files that it imports have none: those are asked for again as without this part.
    """

    def __init__(self, app: Flask) -> None:
        self._folder = app.static_folder
        self._known: dict[str, tuple[tuple[int, int], str]] = {}
        view: Any = app.view_functions.get("static")
        if view is not None:
            app.view_functions["static"] = self._kept(view)

    def add_digest(self, values: dict[str, Any]) -> None:
        """Add the parameter to what `url_for` builds a URL of, unless the application has its own."""
        digest = self._digest(values.get("filename"))
        if digest is not None:
            values.setdefault(_PARAMETER, digest)

    def _digest(self, name: Any) -> str | None:
        path = safe_join(self._folder or "", name) if self._folder and isinstance(name, str) else None
        try:
            if path is None:
                return None
            with open(path, "rb") as file:
                status = os.fstat(file.fileno())
                state = (status.st_mtime_ns, status.st_size)
                if self._known.get(path, (None,))[0] != state:
                    self._known[path] = state, hashlib.file_digest(file, "sha256").hexdigest()[:16]
        except (OSError, ValueError):  # no such file, or no name that a file can have
            return None
        return self._known[path][1]

    def _kept(self, view: Any) -> Any:
        @wraps(view)
        def send(**values: Any) -> Response:
            response: Response = view(**values)
            if request.args.get(_PARAMETER) == self._digest(values.get("filename")):
                response.headers["Cache-Control"] = IMMUTABLE
            return response

        return send
