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
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote

import hiredis
from redis import Redis, RedisCluster
from redis.backoff import NoBackoff
from redis.connection import parse_url
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from .errors import Misconfigured, StoreUnavailable

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

    `url` is `redis://`, `rediss://`, `unix://`, `redis+sentinel://host:port,host:port/service/db`
    or `redis+cluster://host:port`. `timeout` is in seconds, for connecting and for each answer. `observe` is told how
    long each exchange took, in seconds, failed ones included.
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
        self.is_cluster = url.startswith("redis+cluster:")
        self._open = _opener(url, timeout)
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
        except NoScriptError:
            self._breaker.succeeded()
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


def _opener(url: str, timeout: float) -> Callable[[], Any]:
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    scheme, _, rest = url.partition("://")
    try:
        if scheme == "redis+sentinel":
            return _sentinel_opener(url, options)
        plain = f"redis://{rest}" if scheme == "redis+cluster" else url
        parse_url(plain)  # type: ignore[no-untyped-call]
        return partial((RedisCluster if scheme == "redis+cluster" else Redis).from_url, plain, **options)
    except (ValueError, IndexError) as error:
        raise Misconfigured(f"SESSIONS_CORE_REDIS_URL can't be used: {error}") from error


def _sentinel_opener(url: str, options: dict[str, Any]) -> Callable[[], Any]:
    # By hand: some versions of urlsplit refuse a list of hosts with an IPv6 address in it.
    location, _, query = url.partition("://")[2].partition("?")
    netloc, _, path = location.partition("/")
    service, _, database = path.strip("/").partition("/")
    credentials, _, hosts = netloc.rpartition("@")
    username, _, password = credentials.partition(":")
    nodes = [(host.strip("[]"), int(port)) for host, _, port in (node.rpartition(":") for node in hosts.split(","))]
    if not service:
        raise ValueError("name the service, as in redis+sentinel://host:26379/service")
    extra = {
        "username": unquote(username) or None,
        "password": unquote(password) or None,
        **dict(parse_qsl(query)),
    }
    sentinel = Sentinel(nodes, sentinel_kwargs=options)  # type: ignore[no-untyped-call]
    return partial(sentinel.master_for, service, db=int(database or 0), **options, **extra)


def refuse_unsafe_server(link: Link) -> None:
    """Refuse a production Redis that forgets: raise `Misconfigured` with the line that fixes it.

    Without the append-only file a restart loads an older snapshot, in which revoked sessions are alive again. With
    eviction, sessions, epochs and spent nonces vanish under memory pressure. A server that can't be asked is only
    logged.
    """
    try:
        info = _info(link.call("INFO"))
    except StoreUnavailable as error:
        logger.warning("Redis can't be checked (%s); make sure of appendonly and noeviction yourself", error)
        return
    version = info.get("redis_version", "")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < (6, 2):
        raise Misconfigured(f"Redis {version} is too old: sessions need Redis 6.2 or later, or Valkey.")
    for name, found, wanted in _forgets(info):
        raise Misconfigured(
            f"Redis has {name} {found}: a revoked session could come back, or a live one vanish. "
            f"Run: redis-cli CONFIG SET {name} {wanted} (and write it into redis.conf)."
        )


def trouble_now(link: Link, must_remember: bool) -> str | None:
    """Return in one word what keeps the Redis that answers now from holding sessions, if anything does.

    After a failover it may be another server than the one that was checked at start. With `must_remember` its
    append-only file and its eviction are looked at again. Raises `StoreUnavailable` if it does not answer at all.
    """
    try:
        info = _info(link.call("INFO"))
    except StoreUnavailable as error:
        if isinstance(error.__cause__, ResponseError):
            return None  # it may not be asked, which start-up has warned of
        raise
    if info.get("role") == "slave":
        return "redis_replica"
    return "redis_forgets" if must_remember and _forgets(info) else None


def trouble_of(error: StoreUnavailable) -> str:
    """Return in one word why Redis did not do what it was asked to."""
    words: tuple[tuple[type[Exception], str], ...] = (
        (ReadOnlyError, "redis_replica"),
        (OutOfMemoryError, "redis_full"),
        (BusyLoadingError, "redis_loading"),
        (AuthenticationError, "redis_refuses"),
        (ResponseError, "redis_refuses"),
    )
    return next((word for kind, word in words if isinstance(error.__cause__, kind)), "redis_unreachable")


def _forgets(info: dict[str, str]) -> list[tuple[str, str, str]]:
    # What would lose records, as the name of the setting, its value, and the one it has to have.
    found = {
        "appendonly": "no" if info.get("aof_enabled") == "0" else "yes",
        "maxmemory-policy": info.get("maxmemory_policy", "noeviction"),
    }
    wanted = (("appendonly", "yes"), ("maxmemory-policy", "noeviction"))
    return [(name, found[name], value) for name, value in wanted if found[name] != value]


def _info(answer: Any) -> dict[str, str]:
    if isinstance(answer, dict):  # redis-py has parsed it, for a Cluster
        return {str(key): str(value) for key, value in answer.items()}
    lines = (line.partition(":") for line in bytes(answer).decode().splitlines())
    return {key: value for key, _, value in lines}
