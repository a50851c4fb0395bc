"""One Redis server: its idle connections, and the circuit breaker that spares it.

`redis.Redis.execute_command` spends more time in Python than Redis does in answering, so commands are sent over
redis-py's own connections from a stack without locks (`benchmarks/request.py` measures it).
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import hiredis
from redis.exceptions import ConnectionError, RedisError, ResponseError, TimeoutError

from ..errors import StoreUnavailable

logger = logging.getLogger(__name__)

Command = tuple[str | bytes | int, ...]


class Breaker:
    """Spares a Redis that fails: after three failures in a row, one caller a second tries and the others fail at
    once.

    Without it every request would wait for the timeout, and the workers would be full of waiting. `name` is what the
    log calls the server.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, name: str = "Redis") -> None:
        self.clock = clock
        self._name = name
        self._failures = 0
        self._next_try = 0.0
        self._lock = threading.Lock()  # taken only in trouble

    @property
    def failing(self) -> bool:
        """Whether the last exchange failed."""
        return self._failures > 0

    def check(self) -> None:
        """Raise `StoreUnavailable` while it is not this caller's turn to try."""
        if self._failures >= 3:
            with self._lock:
                now = self.clock()
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
                self._next_try = self.clock() + 1.0
        if opened:
            logger.error("%s failed three times in a row; requests get 503 until it answers again", self._name)


class Node:
    """A server, or whichever server is the master of a Sentinel service.

    `connect` returns a new connection, connected. `usable` says whether an idle connection still leads to the right
    server.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        breaker: Breaker,
        usable: Callable[[Any], bool] = lambda connection: True,
    ) -> None:
        self.breaker = breaker
        self._connect = connect
        self._usable = usable
        self._idle: deque[Any] = deque()
        self._pid = os.getpid()

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands over one connection, in one piece, and return their answers.

        A `ResponseError` that the server answered is in the list. Raises `StoreUnavailable` while the circuit is
        open, and what redis-py raises when there is no answer.
        """
        return self.exchange_with(commands)[0]

    def exchange_with(self, commands: Sequence[Command]) -> tuple[list[Any], Any]:
        """Do what `exchange` does; return the answers, and the connection that they came over."""
        self.breaker.check()
        try:
            found = self._exchange(commands)
        except (RedisError, OSError):
            self.breaker.failed()
            raise
        # A server that refuses (out of memory, another node's slot, not permitted) answers fast: opening the breaker
        # would save no time and fail commands that it could answer.
        self.breaker.succeeded()
        return found

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().disconnect()

    def _exchange(self, commands: Sequence[Command]) -> tuple[list[Any], Any]:
        packed = [b"".join(map(hiredis.pack_command, commands))]  # type: ignore[arg-type]  # its stub
        connection, reused = self._take()
        while True:
            try:
                connection.send_packed_command(packed, check_health=False)
                answers = [_answer(connection) for _ in commands]
            except BaseException as error:
                # Whatever happened, an answer may still be under way on this socket, and it is another user's.
                connection.disconnect()
                if not reused or not (isinstance(error, ConnectionError) or self._moved(error, connection)):
                    raise
            else:
                if not any(map(_takes_no_writes, answers)):
                    self._idle.append(connection)
                    return answers, connection
                connection.disconnect()
                if not reused:
                    return answers, connection
            # Closed while idle by a restart, or a master no longer after a failover: once more, and only once.
            # Scripts can be sent twice: creating and burning fail closed, saving compares revisions, rotating sees
            # that it was done.
            connection, reused = self._connect(), False

    def _moved(self, error: BaseException, connection: Any) -> bool:
        # It froze, and has been replaced meanwhile: what it may still do is thrown away.
        return isinstance(error, TimeoutError) and not self._usable(connection)

    def _take(self) -> tuple[Any, bool]:
        if self._pid != os.getpid():  # a forked worker must not share its parent's sockets
            self._idle, self._pid = deque(), os.getpid()
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect(), False
            if self._usable(connection):
                return connection, True
            connection.disconnect()


class Server(NamedTuple):
    """One server of a service; `ask` raises `StoreUnavailable`. A node of a Cluster has `slots`."""

    name: str
    ask: Callable[..., Any]
    master: bool
    slots: frozenset[int] = frozenset()


class Service:
    """One server, and what is different for a service of several (`redis_url.register`).

    `open_client` returns a client of redis-py.
    """

    one_server = True
    """Whether all keys are on one server, so that a script may take any of them."""
    fails_over = False
    """Whether a replica can take the master's place while the master still takes writes."""

    def __init__(self, open_client: Callable[[], Any], breaker: Breaker) -> None:
        self.pool = open_client().connection_pool
        self.node = Node(partial(new_connection, self.pool), breaker)

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands to the server that has the key of the first one, in one piece, and return their answers.

        A `ResponseError` that the server answered is in the list. Raises `StoreUnavailable` while the circuit is
        open, and what redis-py raises when there is no answer.
        """
        return self.node.exchange(commands)

    def exchange_each(self, commands: Sequence[Command]) -> list[Any]:
        """Do what `exchange` does, but each command goes to the server that has its own first key."""
        return self.exchange(commands)

    def exchange_settled(self, commands: Sequence[Command]) -> tuple[list[Any], bool]:
        """Do what `exchange` does; return the answers, and whether no failover is under way that could undo them."""
        return self.exchange(commands), True

    def nodes(self) -> list[Node]:
        """Return the masters."""
        return [self.node]

    def one_key_for_each_master(self, prefix: str) -> list[str]:
        """Return random keys that begin with `prefix`, one on each master; those on masters that failed come last."""
        return [prefix + secrets.token_hex(8)]

    def servers(self, ask: Callable[..., Any]) -> Iterator[Server]:
        """Go through all servers, replicas included; `ask` asks the master. Raises `StoreUnavailable` if they can't
        be found.
        """
        yield Server("Redis", ask, True)

    def close(self) -> None:
        """Close the idle connections."""
        self.node.close()


def asker(client: Any) -> Callable[..., Any]:
    """Return what asks one server through a client of redis-py, as `Server.ask`."""

    def ask(*command: str | bytes | int) -> Any:
        try:
            return client.execute_command(*command)
        except (RedisError, OSError) as error:
            raise StoreUnavailable(str(error), retry_after=2) from error

    return ask


def new_connection(pool: Any) -> Any:
    """Return a new connection as those of a pool of redis-py, connected."""
    # Not `pool.make_connection()`: it counts what it made, gives up for good at 100, and never hears of the ones we
    # drop. An outage of two minutes would end only with a restart.
    connection = pool.connection_class(**pool.connection_kwargs)
    connection.connect()  # sending would connect as well, but past Sentinel, to localhost
    return connection


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:  # the answer, all of it
        return error.with_traceback(None)  # which would keep the connection alive with it


def _takes_no_writes(answer: Any) -> bool:
    # A former master that has become a replica, or has lost its replicas and is told not to write without them
    # (min-replicas-to-write). Redis 6.2 wraps what it says into the error of the script.
    return isinstance(answer, ResponseError) and any(
        words in str(answer) for words in ("You can't write against a read only replica", "NOREPLICAS Not enough")
    )
