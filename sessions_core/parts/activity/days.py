"""Groups activity by day for the pages, and sets the routine apart from what users should see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from ... import events
from ...web.session_view import moment
from .activity_log import Entry

# The server gives sessions new ids by itself. What is `kept` as routine, a session may do without limit.
_ROUTINE = frozenset({events.SessionRotated.name})


@dataclass(frozen=True, slots=True)
class Day:
    """The entries of one day in UTC, newest first; the page folds those that are `routine`."""

    date: date
    entries: tuple[Entry, ...]
    routine: tuple[Entry, ...]


def by_day(entries: Iterable[Entry]) -> list[Day]:
    """Group entries, newest first, by their day in UTC. Scripts group them by the reader's days."""
    return [_day(date, tuple(found)) for date, found in groupby(entries, lambda entry: moment(entry.at).date())]


def _day(date: date, entries: tuple[Entry, ...]) -> Day:
    return Day(
        date,
        tuple(entry for entry in entries if not _is_routine(entry)),
        tuple(entry for entry in entries if _is_routine(entry)),
    )


def _is_routine(entry: Entry) -> bool:
    event = events.class_of(entry.name)
    return entry.name in _ROUTINE or (event is not None and event.kept == "routine")
