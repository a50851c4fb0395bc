"""Tells all processes, through Redis, that something happened to accounts."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Iterable

from ...errors import StoreUnavailable
from ...events import Event
from ...sessions.record import account_tag
from ...storage.connection import RedisConnection

logger = logging.getLogger(__name__)


def accounts_of(event: Event) -> list[str]:
    """Return the accounts (CAIP-10) whose tabs may show what happened; none for refusals and for routine."""
    if event.kind in ("", "refusals") or event.kept != "activity":
        return []
    found = (getattr(event, name, None) for name in ("account", "other"))
    return [each for each in found if each]


class Announcements:
    """Publishes the tags of accounts on a channel of Redis.

    In a thread of its own, so that no user waits for it: who signs in must not pay for the tabs of others. The thread
    ends when there is nothing left to say, and a command waits for it before it exits.
    """

    def __init__(self, connection: RedisConnection, channel: str) -> None:
        self._connection = connection
        self._channel = channel
        self._waiting: deque[str] = deque(maxlen=10_000)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._failed = False

    def publish(self, accounts: Iterable[str]) -> None:
        """Tell the connections of accounts that something happened."""
        self._waiting.append(json.dumps([account_tag(each) for each in accounts]))
        with self._lock:
            # A forked worker has the object of its parent's thread, and not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._send, name="live-announcements")
                self._thread.start()

    def finish(self) -> None:
        """Wait until everything is said."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _send(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                message = self._waiting.popleft()
            try:
                # Any server of a Cluster passes it on to the others.
                self._connection.masters()[0](("PUBLISH", self._channel, message))
                self._failed = False
            except StoreUnavailable as error:
                self._report(error)

    def _report(self, error: StoreUnavailable) -> None:
        if not self._failed:
            logger.warning(
                "Open tabs are not told of changes: %s. If it is a permission: ACL SETUSER <user> &%s +publish",
                error,
                self._channel,
            )
        self._failed = True
