"""The JSON service for programs without cookies: session tokens, refresh tokens, OpenAPI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...part import Part
from .end_reasons import REUSED, TOKEN
from .errors import TokenExpired, TokenInvalid
from .events import TokenRefreshed, TokenReused
from .options import ApiSettings

if TYPE_CHECKING:
    from flask import Blueprint, Flask, Request

    from ...sessions.flask_session import TokenClaims, WalletSession
    from .refresh_tokens import Refresh
    from .session_tokens import Tokens
    from .signing_keys import SigningKeys


class Api(Part):
    """Sessions for programs: session tokens, refresh tokens, JWKS, OpenAPI."""

    libraries = {"joserfc": "joserfc>=1.8"}
    settings = ApiSettings
    errors = (TokenInvalid, TokenExpired)
    events = (TokenRefreshed, TokenReused)
    end_reasons = (REUSED, TOKEN)
    slots = {"activity_words": "sessions/_activity_api.html"}
    redis_keys = {"{signing}:keys": "string: the keys that sign session tokens as JWKs, oldest first, encrypted"}
    options: ApiSettings
    signing_keys: SigningKeys
    tokens: Tokens
    refresh: Refresh

    def setup(self, app: Flask) -> None:
        """Make the services that sign and read tokens."""
        from ...storage.encryption import KeyRing
        from .refresh_tokens import Refresh
        from .session_tokens import Tokens
        from .signing_keys import SigningKeys

        services, options = self.services, self.options
        ring = KeyRing(services.settings.secrets, "sessions_core signing keys 1")
        self.signing_keys = SigningKeys(
            services.connection, ring, services.repository, services.settings.redis_prefix, options.token_seconds
        )
        self.tokens = Tokens(services.settings, options, self.signing_keys, services.clock)
        self.refresh = Refresh(services.repository, services.lifecycle)

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the routes for programs, and the documents that describe them."""
        from .openapi import documents
        from .routes import json_routes

        return (documents, json_routes)

    def wsgi(self, app: Callable[..., Any]) -> Callable[..., Any]:
        """Let pages of allowed origins read answers."""
        from .other_origins import OtherOrigins

        return OtherOrigins(app, self.options.allowed_origins) if self.options.allowed_origins else app

    def warm(self) -> None:
        """Import what signs tokens."""
        from . import es256  # noqa: F401

    def read_token(self, token: str) -> TokenClaims:
        """Read a session token. Any other bearer is refused."""
        from .session_tokens import SessionTokenClaims

        return SessionTokenClaims.of(self.tokens.open(token))

    def allow_origin(self, request: Request, origin: str) -> bool:
        """Allow pages of the configured origins that send no cookies."""
        from .other_origins import allow

        return allow(request, origin, self.options.allowed_origins)

    def on_read(self, session: WalletSession) -> None:
        """Note that a client uses the token that came with its newest refresh token."""
        if session.token is None:  # a browser with its cookie, as most requests
            return
        from .refresh_tokens import note_use_of

        note_use_of(self.services, session)
