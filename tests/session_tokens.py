"""Session tokens: issued, read without a check, and forged with our own key."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from sessions_core.parts.api import Api
from sessions_core.parts.api.session_tokens import Token
from sessions_core.sessions.record import LoadedSession
from sessions_core.sign_in.curves import P256_ORDER
from sessions_core.web.services import Services
from sessions_core.web.session_view import SessionView


def issue(services: Services, live: LoadedSession) -> Token:
    """Issue a session token with all that the session may do."""
    view = SessionView(live, services)
    return services.part(Api).tokens.issue(
        live, session_type=view.type, network=view.network, role=view.role, permissions=view.allowed
    )


def encode(value: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    """Read base64url without padding."""
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def parts_of(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return header, claims and signature, unchecked."""
    header, payload, signature = token.split(".")
    return json.loads(decode(header)), json.loads(decode(payload)), decode(signature)


def private_key(services: Services) -> ec.EllipticCurvePrivateKey:
    """Return the private key that tokens are signed with now."""
    key = services.part(Api).signing_keys.signer().private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def es256(key: ec.EllipticCurvePrivateKey, signed: bytes) -> bytes:
    """Sign as ES256 does (RFC 7518, section 3.4), with the lower s."""
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(SHA256())))
    return r.to_bytes(32) + min(s, P256_ORDER - s).to_bytes(32)


def forge(
    services: Services,
    token: str,
    header: dict[str, Any] | bytes | None = None,
    claims: dict[str, Any] | bytes | None = None,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> str:
    """Sign a token with our own key, with other words in it: what is refused then is refused for its words alone."""

    def part(given: dict[str, Any] | bytes | None, ours: dict[str, Any]) -> bytes:
        if isinstance(given, bytes):
            return given
        changed = {name: value for name, value in (ours | (given or {})).items() if value is not ...}
        return json.dumps(changed, separators=(",", ":")).encode()

    ours = parts_of(token)
    signed = f"{encode(part(header, ours[0]))}.{encode(part(claims, ours[1]))}"
    return f"{signed}.{encode(es256(key or private_key(services), signed.encode()))}"
