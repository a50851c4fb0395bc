"""Session tokens: short JWTs derived from a session, for clients without cookies and for services that have no Redis.

The form is that of RFC 9068 (`at+jwt`), signed with ES256 (RFC 7518, section 3.4), which every library knows. Here a
token is never enough: the session that it names is read with each request, so that revoking it holds at once. Other
services learn of it when the token ends, in minutes, or from `validate`.

The checks before a library sees the token stop attacks on libraries that trust the token: an algorithm by the token's
own word, keys from its header (`jwk`, `jku`, `x5u`), `crit`, padded or padded-out parts.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

import msgspec

from ...sessions.flask_session import TokenClaims
from ...sessions.record import LoadedSession
from ...settings import Settings
from ...sign_in.curves import P256_ORDER
from .errors import TokenExpired, TokenInvalid
from .options import ApiSettings
from .refresh_tokens import FAMILY
from .signing_keys import SigningKeys

# As much as a server takes in one header, so that a site may have a hundred permissions.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,7000}\.[A-Za-z0-9_-]{86}", re.ASCII)
_VERIFIED = 1000  # tokens that are verified once while they are in use
_CLOCK_SKEW = 30  # seconds that two of our own servers may differ

_Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31)]


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    alg: Literal["ES256"]
    typ: Literal["at+jwt"]
    kid: Annotated[str, msgspec.Meta(max_length=64)]


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The claims of a token, with the names of RFC 9068: `sub` is the CAIP-10 account, `sid` the handle of the
    session.

    `gen` is the generation of the refresh token that came with it, and `None` in a token of a session with a cookie:
    that one is only for other services, and no bearer here. `iat` and `exp` are seconds since the epoch.
    """

    iss: str
    aud: str
    client_id: str
    sub: str
    sid: str
    jti: str
    session_type: str
    network: str
    role: str
    permissions: tuple[str, ...]
    gen: _Count | None
    iat: _Seconds
    exp: _Seconds


@dataclass(frozen=True, slots=True)
class SessionTokenClaims(TokenClaims):
    """The session token of a request's session."""

    payload: Claims

    @classmethod
    def of(cls, claims: Claims) -> SessionTokenClaims:
        """Return the claims for the session; a token without `gen` is only for other services."""
        return cls(claims.sub, claims.sid, claims.gen is None, TokenInvalid, claims)


class Token(NamedTuple):
    """A token, and when it ends (seconds since the epoch)."""

    text: str
    expires_at: int


class Tokens:
    """Makes and reads session tokens. `clock` returns seconds since the epoch."""

    def __init__(
        self, settings: Settings, options: ApiSettings, keys: SigningKeys, clock: Callable[[], float]
    ) -> None:
        self._issuer = settings.public_origin
        self._audience = options.token_audience or settings.public_origin
        self._seconds = options.token_seconds
        self._keys = keys
        self._clock = clock
        # A client sends its token with each request. Only good tokens are kept, so a flood of forged ones evicts
        # none. Their key, their times, and whether the session has ended are looked at each time.
        self._verified = lru_cache(_VERIFIED)(self._verify)

    def issue(
        self, live: LoadedSession, *, session_type: str, network: str, role: str, permissions: Iterable[str]
    ) -> Token:
        """Return a token for a session; it never outlives the session's absolute end. Raises `StoreUnavailable`."""
        now = int(self._clock())
        family, left = FAMILY.of(live.record), (live.absolute_expires_at - live.now) // 1000
        claims = Claims(
            iss=self._issuer,
            aud=self._audience,
            client_id=self._issuer,  # RFC 9068 requires one; every user of this site is its client
            sub=live.record.account,
            sid=live.record.handle,
            jti=secrets.token_urlsafe(12),
            session_type=session_type,
            network=network,
            role=role,
            permissions=tuple(permissions),
            gen=family.generation if family.id else None,
            iat=now,
            exp=now + max(0, min(self._seconds, left)),
        )
        from . import es256  # slow to import: see there

        key = self._keys.signer()
        text = es256.sign({"typ": "at+jwt", "kid": key.kid}, msgspec.json.encode(claims), key)
        signed, _, signature = text.rpartition(".")
        return Token(f"{signed}.{_encode(_low(_canonical(signature)))}", claims.exp)

    def open(self, text: str) -> Claims:
        """Return the claims of a token that this site issued. The account is not normalised: another spelling of it
        finds no session.

        Raises `TokenInvalid`, `TokenExpired`, or `StoreUnavailable` if its key has to be read and can't be.
        """
        key_id, claims = self._verified(text)
        if self._keys.find(key_id) is None:
            raise TokenInvalid("signed with a key that this site has retired")
        now = self._clock()
        if claims.iss != self._issuer or claims.aud != self._audience or claims.iat > now + _CLOCK_SKEW:
            raise TokenInvalid("for another place or time")
        if claims.exp <= now:
            raise TokenExpired("too late")
        return claims

    def _verify(self, text: str) -> tuple[str, Claims]:
        """Return the id of the key that signed a token, and the claims of the token."""
        from . import es256  # slow to import: see there

        if not _TOKEN.fullmatch(text):
            raise TokenInvalid("not three parts")
        header, payload, signature = (_canonical(part) for part in text.split("."))
        if int.from_bytes(signature[32:]) > P256_ORDER // 2:
            raise TokenInvalid("the signature in its other spelling")
        try:
            key_id = msgspec.json.decode(header, type=_Header).kid
            key = self._keys.find(key_id)
            if key is None:
                raise TokenInvalid("signed with no key of this site")
            es256.verify(text, key)
            claims = msgspec.json.decode(payload, type=Claims)
            if msgspec.json.encode(claims) != payload:
                raise TokenInvalid("claims in another spelling, or one twice")
        except (es256.JoseError, msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise TokenInvalid(type(error).__name__) from error
        return key_id, claims


def _low(signature: bytes) -> bytes:
    """Return r and s of a valid signature with the smaller of the two valid s: one token, one text."""
    s = int.from_bytes(signature[32:])
    return signature if s <= P256_ORDER // 2 else signature[:32] + (P256_ORDER - s).to_bytes(32)


def _encode(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _canonical(part: str) -> bytes:
    # One spelling: the last character of a part may carry bits that belong to no byte, and libraries ignore them.
    try:
        value = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError as error:
        raise TokenInvalid("not base64url") from error
    if _encode(value) != part:
        raise TokenInvalid("base64url in another spelling")
    return value
