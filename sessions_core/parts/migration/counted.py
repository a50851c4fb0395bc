"""Metrics of the migration. All labels are of closed sets."""

from __future__ import annotations

from ...events import Event
from ..operations.metrics import counter
from .events import DataMigrated, MigrationRefused, SessionMigrated
from .options import SOURCES
from .refused import CODES

_moved = counter(
    "wallet_migrations", "Former sessions by source; outcome is session, data or a code.", "source", "outcome"
)


def begin() -> None:
    """Start a series for each source and outcome."""
    for source in SOURCES:
        for outcome in ("session", "data", *CODES):
            _moved.labels(source, outcome)


def count(event: Event) -> None:
    """Count an event."""
    if isinstance(event, SessionMigrated):
        _moved.labels(event.source, "session").inc()
    elif isinstance(event, DataMigrated):
        _moved.labels(event.source, "data").inc()
    elif isinstance(event, MigrationRefused):
        _moved.labels(event.source or "other", event.code).inc()
