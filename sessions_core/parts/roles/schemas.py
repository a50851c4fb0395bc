"""What the JSON service says of a verification."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType


class State(Struct):
    """What is added to the state of a session, of types that take a verification: `null` once it has lapsed."""

    professional_id: str | UnsetType | None = UNSET
    verification_level: str | UnsetType | None = UNSET
