"""How many connections one session has, over all processes."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator

from ...errors import StoreUnavailable
from ...storage.connection import RedisConnection
from ...storage.replies import number
from ...storage.scripts import Script
from .errors import LiveUpdatesUnavailable

MOST = 3  # connections of one session: one browser needs one, and a second while it changes tabs
SECONDS = 60  # after which a connection that was not heard of is gone, with its process

# KEYS connections of the session; ARGV this connection, the most, milliseconds -> 1, or 0 if there are too many.
_TAKE = Script("""
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""")


class Seats:
    """Counts the connections of each session. All methods but `taken`'s end raise `StoreUnavailable`."""

    def __init__(self, connection: RedisConnection, prefix: str) -> None:
        self._connection = connection
        self._prefix = prefix

    @contextlib.contextmanager
    def taken(self, handle: str) -> Iterator[str]:
        """Take a seat of a session and give it back at the end; yields its name for `keep`.

        Raises `LiveUpdatesUnavailable` if the session has `MOST` connections.
        """
        seat = secrets.token_urlsafe(9)
        if not self.keep(handle, seat):
            raise LiveUpdatesUnavailable(handle, reason="session_full", retry_after=30)
        try:
            yield seat
        finally:
            with contextlib.suppress(StoreUnavailable):  # it runs out by itself
                self._connection.call("ZREM", self._key(handle), seat)

    def keep(self, handle: str, seat: str) -> bool:
        """Keep a seat for another minute; return whether there was room for it."""
        return number(self._connection.run(_TAKE, (self._key(handle),), seat, MOST, SECONDS * 1000)) == 1

    def _key(self, handle: str) -> str:
        return f"{self._prefix}live:{handle}"
