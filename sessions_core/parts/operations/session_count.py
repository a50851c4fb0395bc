"""Counts the sessions, for monitoring: one number in Redis that all processes share.

    census        number  what was counted last
    census:due    string  there until it may be counted again

Sessions expire in Redis without an event, so they can't be counted from events. They are counted by going through the
keys; one process does it for all, at most once a minute, and never for more than a hundredth of the time.
"""

from __future__ import annotations

import threading
import time

from ...errors import StoreUnavailable
from ...sessions.sweeper import Sweeper
from ...settings import Settings
from ...storage.connection import RedisConnection

_MINUTE, _LONGEST = 60_000, 600_000  # milliseconds
_WAIT = 0.25  # seconds; ten thousand sessions are counted in less


class SessionCount:
    """Counts sessions in the background."""

    def __init__(self, connection: RedisConnection, sweeper: Sweeper, settings: Settings) -> None:
        self._connection = connection
        self._sweeper = sweeper
        self._counted = f"{settings.redis_prefix}census"
        self._due = f"{settings.redis_prefix}census:due"

    def latest(self) -> int | None:
        """Return how many sessions were stored when they were last counted, `None` if that is not known.

        The number is about a minute old at most, older if counting takes longer than half a second.
        """
        try:
            if self._connection.call("SET", self._due, 1, "NX", "PX", _LONGEST) is not None:
                counting = threading.Thread(target=self._count, daemon=True)
                counting.start()
                counting.join(_WAIT)
            found = self._connection.call("GET", self._counted)
        except StoreUnavailable:
            return None
        return int(found) if found is not None and found.isdigit() else None

    def _count(self) -> None:
        began = time.monotonic()
        try:
            number = self._sweeper.count()
            took = int((time.monotonic() - began) * 1000)
            self._connection.call("SET", self._counted, number, "PX", max(_LONGEST, 200 * took))
            self._connection.call("PEXPIRE", self._due, max(_MINUTE, 100 * took))
        except StoreUnavailable:
            pass  # the caller is told that it is not known
