"""Redis Sentinel: which server is the master now, asked often enough that no former one is spoken to.

Sentinels promote a replica while the former master still takes writes, for about ten seconds. What it takes then is
thrown away, and it says nothing. So connections to it have to go when the sentinels name another, not when they fail.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from redis import ConnectionPool, Redis, SSLConnection
from redis.connection import Connection
from redis.exceptions import RedisError
from redis.sentinel import Sentinel

from ...errors import StoreUnavailable
from ...storage.nodes import Breaker, Command, Node, Server, Service, asker, new_connection
from ...storage.redis_url import Kind, Options, database, nodes

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


class SentinelService(Service):
    """Sends commands to whichever server is the master."""

    fails_over = True

    def __init__(self, open_client: Callable[[], Any], breaker: Breaker) -> None:
        self.pool = open_client().connection_pool
        self.master = Master(self.pool.sentinel_manager.sentinels, self.pool.service_name)
        self.node = Node(partial(new_connection, self.pool), breaker, self.master.is_at)

    def exchange_settled(self, commands: Sequence[Command]) -> tuple[list[Any], bool]:
        """Return the answers, and whether the server that gave them is the master and stays it."""
        answers, connection = self.node.exchange_with(commands)
        return answers, self.master.settled_at(connection)

    def servers(self, ask: Callable[..., Any]) -> Iterator[Server]:
        """Go through the master and its replicas."""
        sentinels, service = self.pool.sentinel_manager, self.pool.service_name
        options = {name: value for name, value in self.pool.connection_kwargs.items() if name != "connection_pool"}
        kind = SSLConnection if issubclass(self.pool.connection_class, SSLConnection) else Connection
        try:
            places = [(sentinels.discover_master(service), True)]
            places += [(replica, False) for replica in sentinels.discover_slaves(service)]
        except (RedisError, OSError) as error:
            raise StoreUnavailable(str(error), retry_after=2) from error
        for (host, port), master in places:
            pool = ConnectionPool(connection_class=kind, host=host, port=port, **options)
            with Redis(connection_pool=pool) as client:
                yield Server(f"The Redis {'master' if master else 'replica'} {host}:{port}", asker(client), master)
                client.connection_pool.disconnect()


def _read(hosts: str, path: str, tls: bool, options: Options) -> Callable[[], Any]:
    service, _, number = path.partition("/")
    if not service:
        raise ValueError("name the service, as in redis+sentinel://host:26379/service")
    options["db"] = database(number, options)
    secure = {"ssl": True} if tls else {}
    # Sentinels have users of their own.
    names = {"sentinel_username": "username", "sentinel_password": "password"}
    own = {names[name]: options.pop(name) for name in names if name in options}
    shared = {name: value for name, value in options.items() if name not in ("username", "password", "db")}
    sentinel = Sentinel(nodes(hosts, None), sentinel_kwargs=shared | own | secure)  # type: ignore[no-untyped-call]
    return partial(sentinel.master_for, unquote(service), **options, **secure)


KIND = Kind(SentinelService, _read, {"sentinel_username": str, "sentinel_password": str})
