"""One way to Redis: short timeouts, no waiting retries, a circuit breaker, and `StoreUnavailable` for all that fails.

`redis.Redis.execute_command` spends more time in Python than Redis does in answering, so the path that every request
takes sends commands over redis-py's own connections from a stack without locks (`benchmarks/request.py` measures it).
Sentinel and Cluster keep redis-py's discovery of nodes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hiredis
from redis.exceptions import (
    ConnectionError,
    NoScriptError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from .errors import StoreUnavailable
from .redis_url import read

logger = logging.getLogger(__name__)


class Script:
    """A Lua script and the SHA-1 that Redis knows it by."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class Breaker:
    """Spares a Redis that fails: after three failures in a row, one caller a second tries and the others fail at
    once.

    Without it every request would wait for the timeout, and the workers would be full of waiting.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._next_try = 0.0
        self._lock = threading.Lock()  # taken only in trouble

    def check(self) -> None:
        """Raise `StoreUnavailable` while it is not this caller's turn to try."""
        if self._failures >= 3:
            with self._lock:
                now = self._clock()
                if now < self._next_try:
                    raise StoreUnavailable("circuit open", retry_after=2)
                self._next_try = now + 1.0

    def succeeded(self) -> None:
        """Close the circuit."""
        self._failures = 0

    def failed(self) -> None:
        """Count a failure."""
        with self._lock:
            self._failures += 1
            opened = self._failures == 3
            if opened:
                self._next_try = self._clock() + 1.0
        if opened:
            logger.error("Redis failed three times in a row; requests get 503 until it answers again")


class Link:
    """Sends commands to the Redis, Valkey, Sentinel service or Cluster at `url`.

    `url` is one of those that `redis_url` reads. `timeout` is in seconds, for connecting and for each answer.
    `observe` is told how long each exchange took, in seconds, failed ones included.
    """

    def __init__(
        self,
        url: str,
        timeout: float,
        breaker: Breaker | None = None,
        observe: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._breaker = breaker or Breaker()
        self._observe = observe
        self._idle: deque[Any] = deque()
        self._pid = os.getpid()
        self.target = read(url, timeout)
        self.is_cluster = self.target.kind == "cluster"
        self._open = self.target.open
        self._client: Any = None
        if not self.is_cluster:  # a Cluster is asked for its nodes with the first command: we start while it is down
            self._client = self._open()
            self._pool = self._client.connection_pool

    def call(self, *command: str | bytes | int) -> Any:
        """Send one command and return its answer; raise `StoreUnavailable` when there is none."""
        self._breaker.check()
        began = time.perf_counter()
        try:
            answer = self._ask_cluster(command) if self.is_cluster else self._exchange(command)
        except NoScriptError as error:
            self._breaker.succeeded()
            if command[0] != "EVALSHA":  # something between us and Redis answers for it
                raise StoreUnavailable(str(error), retry_after=2) from error
            raise
        except ResponseError as error:
            # It refuses this command (out of memory, a replica, not permitted) and is not slow to say so: nobody is
            # spared anything by failing what it would answer.
            self._breaker.succeeded()
            raise StoreUnavailable(str(error), retry_after=2) from error
        except (RedisError, RedisClusterException, OSError) as error:
            self._breaker.failed()
            raise StoreUnavailable(str(error), retry_after=2) from error
        finally:
            self._observe(time.perf_counter() - began)
        self._breaker.succeeded()
        return answer

    def run(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run a script and return its answer; raise `StoreUnavailable` when there is none.

        All keys are on one slot, and all but those found in an index are declared.
        """
        try:
            return self.call("EVALSHA", script.sha, len(keys), *keys, *arguments)
        except NoScriptError:  # a Redis that was restarted knows no scripts
            return self.call("EVAL", script.text, len(keys), *keys, *arguments)

    def scan(self, pattern: str) -> Iterator[str]:
        """Go through all keys that match, without stopping Redis for it; a key may come twice."""
        if self.is_cluster:
            self.call("PING")  # finds the nodes
            try:
                yield from (key.decode() for key in self._client.scan_iter(match=pattern, count=500))
            except (RedisError, RedisClusterException, OSError) as error:
                raise StoreUnavailable(str(error), retry_after=2) from error
            return
        cursor = b"0"
        while True:
            cursor, keys = self.call("SCAN", cursor, "MATCH", pattern, "COUNT", 500)
            yield from (key.decode() for key in keys)
            if cursor == b"0":
                return

    def _ask_cluster(self, command: tuple[str | bytes | int, ...]) -> Any:
        if self._client is None:
            self._client = self._open()
        return self._client.execute_command(*command)

    def _exchange(self, command: tuple[str | bytes | int, ...]) -> Any:
        if self._pid != os.getpid():  # a forked worker must not share its parent's sockets
            self._idle, self._pid = deque(), os.getpid()
        packed = [hiredis.pack_command(command)]  # type: ignore[arg-type]  # its stub takes one-element tuples
        try:
            connection, reused = self._idle.pop(), True
        except IndexError:
            connection, reused = self._connection(), False
        while True:
            try:
                connection.send_packed_command(packed, check_health=False)
                answer = connection.read_response()
            except BaseException as error:
                if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
                    self._idle.append(connection)  # this was the answer, all of it
                    raise
                # Whatever happened, an answer may still be under way on this socket, and it is somebody's session.
                connection.disconnect()
                if reused and isinstance(error, (ConnectionError, ReadOnlyError)):
                    # Closed while idle by a restart, or a master no longer after a failover. Scripts can be sent
                    # twice: creating and burning fail closed, saving compares revisions, rotating sees that it was
                    # done.
                    connection, reused = self._connection(), False
                    continue
                raise
            self._idle.append(connection)
            return answer

    def _connection(self) -> Any:
        # Not `pool.make_connection()`: it counts what it made, gives up for good at 100, and never hears of the ones
        # we drop. An outage of two minutes would end only with a restart.
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        connection.connect()  # sending would connect as well, but past Sentinel, to localhost
        return connection
