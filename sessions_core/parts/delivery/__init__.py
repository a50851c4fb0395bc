"""Delivers static files fast: under URLs that browsers keep for a year, compressed, preloaded, and from a CDN."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response

from ...part import Part
from .options import DeliverySettings
from .snapshot import Snapshots
from .urls import Urls


class Delivery(Part):
    """Static files under URLs with a fingerprint, compressed, preloaded, and from a CDN if one is set.

    `url_for("sessions.asset", path="static/css/base.css")` returns such a URL by itself. Without the part, browsers
    ask at each use of a file whether it has changed.
    """

    settings = DeliverySettings
    slots = {"modules": "sessions/_module_preloads.html"}

    def setup(self, app: Flask) -> None:
        """Read all files once; in development, look for changes at each request."""
        origin = self.options.assets_url
        self.snapshots = Snapshots(self.services.parts, origin, watched=self.services.settings.development)
        urls = Urls(app, self.snapshots, origin)
        app.jinja_env.globals["module_preloads"] = urls.module_preloads

    def asset_origins(self) -> Sequence[str]:
        """Return the CDN, which the Content-Security-Policy must allow."""
        return (self.options.assets_url,) if self.options.assets_url else ()

    def send_asset(self, path: str) -> Response | None:
        """Answer with a file of the snapshot; an unknown path is left to the kernel, which refuses it."""
        from .sending import send

        return send(self.snapshots.current(), path, other_origin=bool(self.options.assets_url))
