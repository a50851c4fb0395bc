"""What parts keep with a session, as tests put it into one that is about to start."""

from __future__ import annotations

from collections.abc import Callable

from sessions_core.parts.api.refresh_tokens import FAMILY, Family
from sessions_core.parts.devices.recent_sign_ins import note_client
from sessions_core.sessions.record import SessionRecord
from sessions_core.web.request_client import Client


def used_from(client: Client | None) -> Callable[[SessionRecord], None]:
    """Return what notes where a session is used from; nothing for `None`."""
    return lambda record: None if client is None else note_client(record, client)


def with_family(family: Family) -> Callable[[SessionRecord], None]:
    """Return what gives a session its refresh tokens."""
    return lambda record: FAMILY.put(record, family)
