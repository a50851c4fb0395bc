"""ES256 (RFC 7518, section 3.4) by joserfc.

joserfc is a tenth of the time in which a process starts, and only tokens need it. So the functions that need this
module import it, and `Api.warm` does before a client signs in.
"""

from __future__ import annotations

from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters

__all__ = ["JoseError", "make_key", "read_key", "sign", "verify"]

_REGISTRY = jws.JWSRegistry(algorithms=["ES256"])


def make_key(key_id: str) -> dict[str, Any]:
    """Return a new private key as a JWK (RFC 7517)."""
    parameters: KeyParameters = {"use": "sig", "alg": "ES256", "kid": key_id}
    return dict(ECKey.generate_key("P-256", parameters).as_dict(private=True))


def read_key(jwk: dict[str, Any]) -> ECKey:
    """Return the key of a JWK."""
    return ECKey.import_key(jwk)


def sign(header: dict[str, Any], payload: bytes, key: ECKey) -> str:
    """Return a JWS in its compact form; `alg` is added to the header."""
    return jws.serialize_compact({"alg": "ES256", **header}, payload, key, registry=_REGISTRY)


def verify(text: str, key: ECKey) -> None:
    """Check the signature of a JWS in its compact form. Raises `JoseError` or `ValueError`."""
    jws.deserialize_compact(text, key, registry=_REGISTRY)
