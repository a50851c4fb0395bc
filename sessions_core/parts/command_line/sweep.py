"""Sweeps all sessions, with a progress bar, and goes on where an interrupted sweep stopped.

    sweep  string  where the running or interrupted sweep is; gone an hour after its last step

The place is good for the same masters only, since a cursor of SCAN means nothing to another server, or after a
restart. It is good for the same secret only, since a sweep after a rotation has to encrypt all records again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import msgspec

from ...errors import StoreUnavailable
from ...sessions.sweeper import KINDS
from ...storage.connection import RedisConnection
from ...web.services import Services
from .output import progress_bar, say

_KEPT = 3600  # seconds
_EVERY = 1.0  # seconds between two notes of the place


class Progress(msgspec.Struct, array_like=True):
    """Where a sweep is: the masters and the secret it began with, its place, its keys so far, and its findings."""

    masters: list[str]
    secret: str
    place: tuple[int, int] = (0, 0)
    keys: int = 0
    found: dict[str, int] = {}


def run_sweep(services: Services, again: bool) -> dict[str, int]:
    """Sweep all sessions and return the findings by kind (`Sweeper.sweep`), those before an interruption included.

    With `again` it begins again even if an interrupted sweep could go on. Raises `StoreUnavailable`; then the next
    sweep goes on from there.
    """
    connection, key = services.connection, f"{services.settings.redis_prefix}sweep"
    size = sum(ask(("DBSIZE",))[0] for ask in connection.masters())
    progress = Progress(_runs(connection), services.keys.newest_id)
    earlier = None if again else _earlier(connection, key)
    if earlier and earlier.masters and (earlier.masters, earlier.secret) == (progress.masters, progress.secret):
        progress = earlier
        say("A sweep was interrupted within the last hour: this one goes on where it stopped.", err=True)
    try:
        with progress_bar(size, progress.keys) as advance:
            for count in _steps(services, key, progress):
                advance(count)
    except (StoreUnavailable, KeyboardInterrupt):
        if progress.keys:
            say("The sweep was interrupted. What it did stays done; run it again to go on.", err=True)
        raise
    connection.call("DEL", key)
    return {kind: progress.found.get(kind, 0) for kind in KINDS}


def _steps(services: Services, key: str, progress: Progress) -> Iterator[int]:
    found, noted = Counter(progress.found), time.monotonic()
    for count, place in services.sweeper.steps(found, progress.place):
        progress.place, progress.keys, progress.found = place, progress.keys + count, dict(found)
        if time.monotonic() - noted >= _EVERY:
            noted = time.monotonic()
            _note(services.connection, key, progress)
        yield count


def _note(connection: RedisConnection, key: str, progress: Progress) -> None:
    with suppress(StoreUnavailable):  # one that is full can be swept all the same, from the beginning each time
        connection.call("SET", key, msgspec.json.encode(progress), "EX", _KEPT)


def _earlier(connection: RedisConnection, key: str) -> Progress | None:
    try:
        return msgspec.json.decode(connection.call("GET", key) or b"", type=Progress)
    except msgspec.MsgspecError:
        return None  # there is none, or it was changed by hand


def _runs(connection: RedisConnection) -> list[str]:
    # The ids that the masters get each time they start; none where INFO is not permitted.
    with suppress(StoreUnavailable):
        answers = [ask(("INFO", "server"))[0] for ask in connection.masters()]
        return [line for info in answers for line in info.decode().split() if line.startswith("run_id:")]
    return []
