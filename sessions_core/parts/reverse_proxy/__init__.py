"""Reads the headers of trusted reverse proxies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

from ...errors import Misconfigured
from ...part import Part
from ...settings import PREFIX
from .options import ReverseProxySettings


class ReverseProxy(Part):
    """Takes address, scheme, host and path prefix from the headers of trusted proxies."""

    settings = ReverseProxySettings

    def setup(self, app: Flask) -> None:
        """Refuse an impossible number of proxies."""
        if not 0 <= self.options.trusted_proxies <= 10:
            raise Misconfigured(f"{PREFIX}TRUSTED_PROXIES must be between 0 and 10.")

    def wsgi(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Return the application behind the proxies."""
        from .proxies import Proxies

        return Proxies(app, self.services.settings, self.options)
