"""Checks whether this process can take requests now, in time for load balancers."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future

from ...errors import StoreUnavailable
from ...settings import Settings
from ...storage.connection import RedisConnection
from ...storage.encryption import DecryptionFailed, KeyRing
from ...storage.replies import trouble_of
from .server_checks import trouble_anywhere, trouble_now

TROUBLES = {
    "redis_unreachable": "Redis does not answer, or the circuit breaker spares it.",
    "redis_slow": "Redis did not answer everything within 200 milliseconds.",
    "redis_loading": "Redis is still reading its file.",
    "redis_refuses": "Redis refuses a command: a password, a permission (the log names it), or a full disk.",
    "redis_full": "Redis is out of memory.",
    "redis_replica": "This Redis is a replica: what is written there is refused, or lost.",
    "redis_forgets": "Redis has lost its append-only file, evicts keys, or forgot what it had just been told.",
    "redis_partial": "Some masters of the Cluster do not answer: part of the accounts get 503, the others none.",
    "keys_unusable": "What was encrypted a moment ago could not be decrypted.",
}
"""The closed set of troubles."""

READY = ("redis_partial",)
"""Troubles that are no reason to send requests elsewhere: every process would report the same, and a load balancer
that believed them all would turn all users away, including those who are not affected.
"""

SECONDS = 0.2
_KEPT = 2000  # milliseconds
_EVERY = 10.0  # seconds between two looks at the rights and at all servers


class _Looking(Future[str | None]):
    """One round; `found` is what is wrong with each master that has answered so far."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []


class Readiness:
    """Asks Redis, and each master of a Cluster, to store an encrypted value and return it. From time to time, asks
    each server what it would lose. Unless `strict`, a Redis that forgets or lacks a right is ready all the same.
    """

    def __init__(self, connection: RedisConnection, keys: KeyRing, settings: Settings, strict: bool = True) -> None:
        self._connection = connection
        self._keys = keys
        self._prefix = settings.redis_prefix
        self._strict = strict
        self._must_remember = strict and not settings.development
        self._lock = threading.Lock()
        self._looking: _Looking | None = None
        self._last_look = -math.inf
        self._elsewhere: str | None = None  # what was wrong at the last look at all servers

    def trouble(self) -> str | None:
        """Return one word of `TROUBLES`, or `None` if all is well; within 200 milliseconds, even if Redis hangs."""
        # In a thread, since a connection may take long: socket timeouts apply to each operation and don't cover DNS.
        # One at a time: a Redis that hangs must not fill the process with waiting threads.
        with self._lock:
            looking, first = self._looking, self._looking is None or self._looking.done()
            if first:
                looking = self._looking = _Looking()
        assert looking is not None  # noqa: S101  # made above
        if first:
            # Not under the lock: starting a thread waits for it. If gevent was loaded after the lock was made, other
            # threads run meanwhile, and the first that takes the lock would block the process for ever.
            try:
                threading.Thread(target=self._answer, args=(looking,), daemon=True).start()
            except RuntimeError as error:  # no more threads: the next one tries again
                looking.set_exception(error)
        try:
            return looking.result(SECONDS)
        except TimeoutError:
            return "redis_partial" if None in looking.found else "redis_slow"

    def _answer(self, looking: _Looking) -> None:
        try:
            looking.set_result(self._look(looking.found))
        except BaseException as error:  # waiting threads must be told
            looking.set_exception(error)
        else:
            self._look_at_all()  # after the answer, so that one server that hangs does not delay it

    def _look(self, found: list[str | None]) -> str | None:
        try:
            epoch = f"{self._prefix}epoch"
            if not self._connection.reachable(epoch):  # every request reads it, whatever master its account is on
                self._connection.call("GET", epoch)
            for key in self._connection.one_key_for_each_master(f"{self._prefix}ready:"):
                found.append(self._look_at(key))
            if None not in found:
                return found[0]
            trouble = trouble_now(self._connection, self._must_remember)
        except StoreUnavailable as error:
            return trouble_of(error)
        return trouble or self._elsewhere or ("redis_partial" if any(found) else None)

    def _look_at(self, key: str) -> str | None:
        try:
            self._connection.call("SET", key, self._keys.encrypt(b"ready", key.encode()), "PX", _KEPT)
            kept = self._connection.call("GETDEL", key)
        except StoreUnavailable as error:
            return trouble_of(error)
        if kept is None:
            return "redis_forgets"
        try:
            self._keys.decrypt(kept, key.encode())
        except DecryptionFailed:
            return "keys_unusable"
        return None

    def _look_at_all(self) -> None:
        if time.monotonic() < self._last_look + _EVERY:
            return
        self._last_look = time.monotonic()
        self._elsewhere = trouble_anywhere(self._connection, self._prefix, self._must_remember, self._strict)
