"""Session types, networks and the permissions they give. Decides, never writes.

Permissions are decided on every request from the type and the network that was signed for; none is stored, so a
change here holds from the next request on.
"""

from __future__ import annotations

from dataclasses import dataclass

from .accounts import Network
from .settings import Settings

# What the signed network lets a session do. A testnet signature must never move real money.
NETWORK_PERMISSIONS: dict[Network, tuple[str, ...]] = {
    "mainnet": ("transact", "sign"),
    "testnet": ("test-only",),
    "unsupported": (),
}
ALL_NETWORK_PERMISSIONS = ("transact", "sign", "test-only")


@dataclass(frozen=True, slots=True)
class SessionType:
    """A kind of session: its two clocks in seconds, and the permissions the kind grants."""

    name: str
    idle_seconds: int
    absolute_seconds: int
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """The session may do this."""

    permission: str

    allowed = True
    reason = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The session may not do this; `reason` is `type`, or `network_` and the network that was signed for."""

    permission: str
    reason: str

    allowed = False


Decision = Allowed | Denied


def standard(settings: Settings) -> SessionType:
    """Return the type every wallet sign-in gets."""
    return SessionType(
        "standard",
        settings.idle_seconds,
        settings.absolute_seconds,
        ("read:profile", "write:messages", "join:groups", "book:sessions"),
    )


def decide(permission: str, session_type: SessionType, network: Network) -> Decision:
    """Decide one permission for a session of this type, signed for this network."""
    if permission in ALL_NETWORK_PERMISSIONS:
        allowed = permission in NETWORK_PERMISSIONS[network]
        return Allowed(permission) if allowed else Denied(permission, f"network_{network}")
    return Allowed(permission) if permission in session_type.permissions else Denied(permission, "type")


def decisions(session_type: SessionType, network: Network) -> tuple[Decision, ...]:
    """Decide every permission that a session of this type could have, on any network."""
    names = (*ALL_NETWORK_PERMISSIONS, *session_type.permissions)
    return tuple(decide(name, session_type, network) for name in names)
