"""Listens to Redis for all connections of a process, and wakes those that something concerns."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

from redis.client import PubSub

from ...sessions.record import account_tag
from ...storage.connection import RedisConnection
from ...storage.nodes import Service
from .errors import LiveUpdatesUnavailable

logger = logging.getLogger(__name__)

_PATIENCE = 2.0  # seconds that a new connection waits for the subscription
_ALIVE = 10.0  # seconds without a word from Redis after which it has to answer a ping
_TICK = 1.0

_FORKED = threading.Lock()  # held for an instant, and by no process that forks


class Waiting:
    """What wakes one connection, and why. `tags` are the tags of all accounts of its user."""

    def __init__(self, handle: str, tags: frozenset[str]) -> None:
        self.handle = handle
        self.tags = tags
        self.wake = threading.Event()
        self.changed = False
        self.stopped = False

    def concerned_by_end(self, message: dict[str, Any]) -> bool:
        """Whether an announcement on the kernel's channel may mean the end of this session."""
        if "handle" in message:
            return bool(message["handle"] == self.handle)
        if "account" in message:
            return account_tag(str(message["account"])) in self.tags and message.get("except") != self.handle
        return True  # all users were signed out


class Hub:
    """The connections of a process, and one subscription for all of them while there are any.

    What Redis says is only a reason to look: each connection reads its session, and believes that.
    """

    def __init__(self, connection: RedisConnection, ended: str, changed: str) -> None:
        self._connection = connection
        self._ended, self._changed = ended, changed
        self._begin()

    def _begin_after_fork(self) -> None:
        with _FORKED:
            if self._pid != os.getpid():  # a forked worker has none of its parent's threads
                self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._waiting: set[Waiting] = set()
        self._refusing = 0
        self._listening = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def count(self) -> int:
        """How many connections are open."""
        return len(self._waiting)

    @contextlib.contextmanager
    def joined(self, waiting: Waiting, most: int) -> Iterator[None]:
        """Wake a connection until the end of the block. Everything that happens from now on wakes it.

        `most` is how many there may be.

        Raises `LiveUpdatesUnavailable` if there are too many, or if Redis can't be listened to.
        """
        self._begin_after_fork()
        with self._lock:
            if len(self._waiting) + self._refusing >= most:
                raise LiveUpdatesUnavailable(len(self._waiting), reason="full", retry_after=30)
            self._waiting.add(waiting)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._listen, name="live-updates", daemon=True)
                self._thread.start()
        try:
            if not self._listening.wait(_PATIENCE):
                raise LiveUpdatesUnavailable("no subscription", reason="redis", retry_after=30)
            yield
        finally:
            with self._lock:
                self._waiting.discard(waiting)

    @contextlib.contextmanager
    def refusing(self, most: int) -> Iterator[bool]:
        """Say whether a connection may be accepted to be told, until the end of the block, that it is refused.

        Such a connection takes a thread for a second or two, and needs no session: so together they count among the
        `most`, and are a quarter of them, or one, at most.
        """
        self._begin_after_fork()
        with self._lock:
            refusing = self._refusing
            room = refusing < max(1, most // 4) and len(self._waiting) + refusing < most
            self._refusing += room
        try:
            yield room
        finally:
            with self._lock:
                self._refusing -= room

    def stop(self, seconds: float = 5.0) -> None:
        """End all connections and the subscription, and wait for that."""
        with self._lock:
            for each in self._waiting:
                each.stopped = True
                each.wake.set()
            thread = self._thread
        if thread is not None:
            thread.join(seconds)

    # -- The thread ----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        failures = 0
        while self._go_on():
            try:
                with contextlib.closing(_pubsub(self._connection.service)) as pubsub:
                    pubsub.subscribe(self._ended, self._changed)
                    failures = 0
                    self._hear(pubsub)
            except Exception as error:  # redis-py raises TypeError too, for a connection closed under it
                if not failures:
                    logger.warning(
                        "Live updates wait for Redis: %s. If it is a permission: "
                        "ACL SETUSER <user> &%s &%s +subscribe",
                        error,
                        self._ended,
                        self._changed,
                    )
                failures += 1
                self._listening.clear()
                threading.Event().wait(min(0.1 * 2**failures, 2.0))
            finally:
                self._listening.clear()

    def _go_on(self) -> bool:
        with self._lock:
            if self._waiting:
                return True
            self._thread = None
            return False

    def _hear(self, pubsub: Any) -> None:
        missing, silent = {self._ended, self._changed}, 0.0
        while self._waiting:
            message = pubsub.get_message(timeout=_TICK)
            if message is None:
                silent += _TICK
                if silent >= 2 * _ALIVE:  # a server that froze, or a network that drops everything, says nothing
                    raise ConnectionError("Redis does not answer")
                if silent == _ALIVE:
                    pubsub.ping()
                continue
            silent = 0.0
            channel = (message.get("channel") or b"").decode()
            if message["type"] == "subscribe":
                missing.discard(channel)
                if not missing and not self._listening.is_set():
                    self._wake_all()  # what was said meanwhile is lost: each reads its session anew
                    self._listening.set()
            elif message["type"] == "message":
                self._told(channel, message["data"])

    def _told(self, channel: str, data: bytes) -> None:
        try:
            said = json.loads(data)
        except ValueError:
            return
        with self._lock:
            waiting = list(self._waiting)
        for each in waiting:
            if channel == self._ended and isinstance(said, dict):
                if each.concerned_by_end(said):
                    each.wake.set()
            elif channel == self._changed and isinstance(said, list) and not each.tags.isdisjoint(map(str, said)):
                each.changed = True
                each.wake.set()

    def _wake_all(self) -> None:
        with self._lock:
            for each in self._waiting:
                each.changed = True
                each.wake.set()


def _pubsub(service: Service) -> Any:
    """Return a subscriber of redis-py: to the one server, to the master of a Sentinel service, or to any node of a
    Cluster, which passes on what is published at the others.
    """
    if service.one_server:
        return PubSub(service.pool)
    service.nodes()  # connects, and raises what redis-py raises
    return service.client.pubsub()  # type: ignore[attr-defined]  # of a Cluster
