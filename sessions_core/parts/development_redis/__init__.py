"""A private Redis for development and tests, so that the demo runs without one."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from ...part import Part


class DevelopmentRedis(Part):
    """Starts a Redis of its own for an application in development that names none; needs Linux or macOS."""

    @classmethod
    def redis_url(cls, app: Flask) -> str:
        """Start the server, or find the one that another process has started for the same instance folder."""
        from . import embedded

        return embedded.keep(Path(app.instance_path) / "redis").url
