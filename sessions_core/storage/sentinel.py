"""Redis Sentinel: which server is the master now, asked often enough that no former one is spoken to.

Sentinels promote a replica while the former master still takes writes, for about ten seconds. What it takes then is
thrown away, and it says nothing. So connections to it have to go when the sentinels name another, not when they fail.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

_EVERY = 0.1  # seconds between two questions of a process: the longest that it speaks to a former master
_REST = 5.0  # seconds without questions to a sentinel that does not answer

Address = tuple[str, int]


class Master:
    """The master of a Sentinel service. No thread listens: the requests themselves ask, one of them at a time, and so
    a fork has nothing to bring along.
    """

    def __init__(self, sentinels: list[Any], service: str) -> None:
        self._sentinels = list(sentinels)  # clients of redis-py
        self._service = service
        self._address: Address | None = None
        self._ask_again = 0.0
        self._resting: dict[int, float] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def is_at(self, connection: Any) -> bool:
        """Whether an idle connection leads to the master, as a sentinel said at most a tenth of a second ago."""
        if self._pid != os.getpid():  # a thread of the parent may have held the lock when it forked
            self._lock, self._pid = threading.Lock(), os.getpid()
        if time.monotonic() >= self._ask_again and self._lock.acquire(blocking=False):
            try:
                self._address = next((address for address, _ in self._asked()), self._address)
            finally:
                self._ask_again = time.monotonic() + _EVERY
                self._lock.release()
        return self._address is None or self._address == (connection.host, connection.port)

    def settled_at(self, connection: Any) -> bool:
        """Whether a connection leads to the master, and no sentinel is about to promote another.

        All of them are asked: only the one that leads a failover knows of it before it is over. What was written
        before this answer was replicated before a failover could begin, or is lost to an outage.
        """
        said = list(self._asked())
        here = (connection.host, connection.port)
        return bool(said) and all(address == here and not moving for address, moving in said)

    def _asked(self) -> Any:
        # Yields what each sentinel says: where the master is, and whether it is being replaced.
        for number, sentinel in enumerate(self._sentinels):
            if time.monotonic() < self._resting.get(number, 0.0):
                continue
            try:
                state = sentinel.sentinel_master(self._service)
            except (RedisError, OSError):
                self._resting[number] = time.monotonic() + _REST
                continue
            yield (state["ip"], int(state["port"])), "failover_in_progress" in state["flags"]
