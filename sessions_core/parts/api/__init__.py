"""The JSON service for programs without cookies: session tokens, refresh tokens, OpenAPI."""

from __future__ import annotations

from ...part import Part
from .refresh_tokens import REUSED


class Api(Part):
    """Sessions for programs: session tokens, refresh tokens, JWKS, OpenAPI."""

    end_reasons = (REUSED,)
    libraries = {"joserfc": "joserfc>=1.8"}
