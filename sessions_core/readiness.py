"""Whether this process can do its work now: for load balancers, which have to hear it in time."""

from __future__ import annotations

import math
import secrets
import threading
import time
from concurrent.futures import Future

from .connection import Link
from .errors import StoreUnavailable
from .sealing import KeyRing, Unsealable
from .server_checks import trouble_anywhere, trouble_now, trouble_of
from .settings import Settings

TROUBLES = {
    "redis_unreachable": "Redis does not answer, or the circuit breaker spares it.",
    "redis_slow": "Redis did not answer everything within 200 milliseconds.",
    "redis_loading": "Redis is still reading its file.",
    "redis_refuses": "Redis refuses a command: a password, a permission (the log names it), or a full disk.",
    "redis_full": "Redis is out of memory.",
    "redis_replica": "This Redis is a replica: what is written there is refused, or lost.",
    "redis_forgets": "Redis has lost its append-only file, evicts keys, or forgot what it had just been told.",
    "keys_unusable": "What was sealed a moment ago could not be opened.",
}
"""The closed set of what can be wrong."""

SECONDS = 0.2
_KEPT = 2000  # milliseconds
_EVERY = 10.0  # seconds between two looks at the rights and at all servers


class Readiness:
    """Asks Redis to keep a sealed value and to give it back, and now and then each server what it would lose."""

    def __init__(self, link: Link, keys: KeyRing, settings: Settings) -> None:
        self._link = link
        self._keys = keys
        self._prefix = settings.redis_prefix
        self._strict = settings.redis_check
        self._must_remember = settings.redis_check and not settings.development
        self._lock = threading.Lock()
        self._looking: Future[str | None] | None = None
        self._last_look = -math.inf
        self._elsewhere: str | None = None  # what was wrong at the last look at all servers

    def trouble(self) -> str | None:
        """Return one word of `TROUBLES`, or `None` if all is well; within 200 milliseconds, whatever Redis does."""
        # In a thread, since a connection takes as long as it takes: timeouts count each step, and none the look-up of
        # a name. One at a time: a Redis that hangs must not fill the process with threads that wait for it.
        with self._lock:
            if self._looking is None or self._looking.done():
                self._looking = Future()
                threading.Thread(target=self._answer, args=(self._looking,), daemon=True).start()
            looking = self._looking
        try:
            return looking.result(SECONDS)
        except TimeoutError:
            return "redis_slow"

    def _answer(self, looking: Future[str | None]) -> None:
        try:
            looking.set_result(self._look())
        except BaseException as error:  # whoever waits must hear of it
            looking.set_exception(error)
        else:
            self._look_at_all()  # after the answer, which one server that hangs must not hold up

    def _look(self) -> str | None:
        key = f"{self._prefix}ready:{secrets.token_hex(8)}"  # on a Cluster, another slot each time
        try:
            self._link.call("SET", key, self._keys.seal(b"ready", key.encode()), "PX", _KEPT)
            kept = self._link.call("GETDEL", key)
            trouble = trouble_now(self._link, self._must_remember)
        except StoreUnavailable as error:
            return trouble_of(error)
        if trouble is not None or kept is None:
            return trouble or "redis_forgets"
        try:
            self._keys.open(kept, key.encode())
        except Unsealable:
            return "keys_unusable"
        return self._elsewhere

    def _look_at_all(self) -> None:
        if time.monotonic() < self._last_look + _EVERY:
            return
        self._last_look = time.monotonic()
        self._note_all()

    def _note_all(self) -> None:
        self._elsewhere = trouble_anywhere(self._link, self._prefix, self._must_remember, self._strict)
