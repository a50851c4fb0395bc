"""What happens to sessions of the former session store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...events import Event, SessionCreated


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMigrated(SessionCreated):
    """A session of the former store was moved here: its user stays signed in. `source` is what named the user."""

    name: ClassVar[str] = "migration.session_moved"
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataMigrated(Event):
    """What the former store held for a visitor was moved here. `source` is where it was."""

    name: ClassVar[str] = "migration.data_moved"
    kind = "changes"
    only_logged = True
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationRefused(Event):
    """A session or a cookie of the former store was not moved, and the request goes on without a user.

    `code` is one of `refused.CODES`. `cause` is for developers: what was wrong, without data of the session.
    """

    name: ClassVar[str] = "migration.refused"
    kind = "refusals"
    only_logged = True
    source: str
    code: str
    cause: str
