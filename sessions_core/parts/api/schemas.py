"""The answers of this part's routes."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ...web.schemas import SessionState, Time


class SessionToken(Struct, kw_only=True):
    """A JWT (RFC 9068) to send as the bearer."""

    session_token: str
    token_type: Literal["Bearer"]
    token_expires_at: Time


class TokenSession(SessionState, kw_only=True):
    """A session of a client without cookies: its state, its token, and the refresh token for the next one."""

    session_token: str
    token_type: Literal["Bearer"]
    token_expires_at: Time
    refresh_token: Annotated[str, Meta(description="Good for one use.")]


class PublicKey(Struct):
    """One of the keys that sign session tokens (RFC 7517)."""

    kid: str
    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: str
    y: str
    alg: Literal["ES256"]
    use: Literal["sig"]


class PublicKeys(Struct):
    """The keys that sign session tokens, oldest first (RFC 7517)."""

    keys: list[PublicKey]
