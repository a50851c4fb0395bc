"""`url_for` with fingerprints and the CDN, and which modules a page will load."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask, has_request_context, request

from .own_static import OwnStatic
from .snapshot import Snapshot, Snapshots

# What is known of one request, in its WSGI environment.
_SNAPSHOT, _NAMED, _PRELOADED = (f"sessions_core.delivery.{each}" for each in ("snapshot", "named", "preloaded"))


class Urls:
    """Has `url_for` of an application return the URLs under which browsers may keep static files."""

    def __init__(self, app: Flask, snapshots: Snapshots, origin: str) -> None:
        self._snapshots = snapshots
        self._origin = origin
        self._own_static = OwnStatic(app)
        self._build = app.url_for
        # Flask's function `url_for` calls this method so that an application can replace it; its templates have it
        # already.
        app.url_for = self.url_for  # type: ignore[method-assign]
        app.jinja_env.globals["url_for"] = self.url_for

    def url_for(self, endpoint: str, **values: Any) -> str:
        """Return the URL of an endpoint, as `Flask.url_for` does.

        The fingerprint is a segment of the path and not a parameter: so the relative imports of a module lead to URLs
        with the same fingerprint.
        """
        if endpoint == "static":
            self._own_static.add_digest(values)
        if endpoint != "sessions.asset":
            return self._build(endpoint, **values)
        snapshot, path = self._snapshot(), str(values.get("path"))
        if path in snapshot.files:
            values["path"] = f"{snapshot.fingerprint}/{path}"
            if path.endswith(".js") and has_request_context():
                request.environ.setdefault(_NAMED, []).append(path)
        url = self._build(endpoint, **values)
        if not self._origin:
            return url
        return self._origin + urlsplit(url)._replace(scheme="", netloc="").geturl()

    def _snapshot(self) -> Snapshot:
        """Return one snapshot for the whole request, so that all URLs of a page have the same fingerprint."""
        if not has_request_context():
            return self._snapshots.current()
        if _SNAPSHOT not in request.environ:
            request.environ[_SNAPSHOT] = self._snapshots.current()
        return cast(Snapshot, request.environ[_SNAPSHOT])

    def module_preloads(self) -> list[str]:
        """Return the URLs of all modules that those named by `url_for` in this request import, and of these
        themselves. Each module is returned once in a response.
        """
        named = request.environ.pop(_NAMED, [])
        done: set[str] = request.environ.setdefault(_PRELOADED, set())
        found = [path for path in self._snapshot().closure(named) if path not in done]
        done.update(found)
        urls = [self.url_for("sessions.asset", path=path) for path in found]
        request.environ.pop(_NAMED, None)
        return urls
