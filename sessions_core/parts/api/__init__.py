"""The JSON service for programs without cookies: session tokens, refresh tokens, OpenAPI."""

from __future__ import annotations

from ...part import Part


class Api(Part):
    """Sessions for programs: session tokens, refresh tokens, JWKS, OpenAPI."""

    libraries = {"joserfc": "joserfc>=1.8"}
