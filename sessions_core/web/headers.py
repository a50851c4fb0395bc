"""Security headers and the request's id on every response, errors and static files included.

A WSGI layer rather than `after_request`: it also covers answers that Flask gives before or after its own hooks, and
appends a list made once instead of building ten headers per request.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from flask import request

from ..settings import Settings
from . import request_id

_REQUEST_ID = request_id.HEADER.lower()
_NONCE = "sessions_core.csp_nonce"

_CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Wallets announce their icons as data: URIs (EIP-6963).
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
_DENIED_FEATURES = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"


def csp_nonce() -> str:
    """Return the nonce of this response, for an inline `<script nonce>` or `<style nonce>` of the application's own.

    Only a response whose view called this has a nonce in its policy.
    """
    nonce = request.environ.get(_NONCE)
    if nonce is None:
        nonce = request.environ[_NONCE] = secrets.token_urlsafe(16)
    return str(nonce)


def _policy(settings: Settings, asset_origins: Iterable[str]) -> str:
    policy = _CSP
    for origin in asset_origins:
        policy = re.sub(r"(?:script|style|img|font)-src 'self'", rf"\g<0> {origin}", policy)
    # `report-uri` for Firefox and Safari, `report-to` for the others, which then ignore the first.
    where = settings.csp_report_url
    return f"{policy}; report-uri {where}; report-to csp" if where else policy


class ResponseHeaders:
    """Adds the security headers that a response does not set itself, and the id of its request.

    `asset_origins` are other origins from which pages may load scripts, styles, pictures and fonts.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]], settings: Settings, asset_origins: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._headers = [
            ("Content-Security-Policy", _policy(settings, asset_origins)),
            ("X-Content-Type-Options", "nosniff"),
            # Wallets may open their own window that talks back to this page.
            ("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            # Not "no-referrer": error pages lead back to the page whose form failed (`error_handlers`).
            ("Referrer-Policy", "same-origin"),
            ("Permissions-Policy", _DENIED_FEATURES),
            ("X-Frame-Options", "DENY"),
            # Static files have their own Cache-Control. A response without one may be private.
            ("Cache-Control", "no-store"),
        ]
        if settings.secure_origin:
            # With it an attacker on the network can't answer for a subdomain over plain http and plant cookies from
            # there.
            subdomains = "; includeSubDomains" if settings.hsts_subdomains else ""
            self._headers.append(("Strict-Transport-Security", f"max-age=31536000{subdomains}"))
        if settings.csp_report_url:
            self._headers.append(("Reporting-Endpoints", f'csp="{settings.csp_report_url}"'))
        self._names = {name.lower() for name, _ in self._headers} | {_REQUEST_ID}

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Call the application with a `start_response` that adds what is missing."""
        of_request = (request_id.HEADER, request_id.assign(environ))

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            own = {name.lower() for name, _ in headers}
            security = self._with_nonce(environ[_NONCE]) if _NONCE in environ else self._headers
            if not own.isdisjoint(self._names):
                security = [header for header in security if header[0].lower() not in own]
                headers = [header for header in headers if header[0].lower() != _REQUEST_ID]
            return start_response(status, [*headers, *security, of_request], exc_info)

        return self._app(environ, start)

    def _with_nonce(self, nonce: str) -> list[tuple[str, str]]:
        (name, policy), *others = self._headers
        for directive in ("script-src 'self'", "style-src 'self'"):
            policy = policy.replace(directive, f"{directive} 'nonce-{nonce}'")
        return [(name, policy), *others]
