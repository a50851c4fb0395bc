"""Ends former sessions together with those that were made of them, while the former servers still run.

Also remembers when a user signed out: a signed cookie can't be deleted, and a copy of one that was made before
must not sign the user in again.
"""

from __future__ import annotations

from ...sessions.repository import SessionRepository
from ...storage.connection import RedisConnection
from ...storage.encryption import DecryptionFailed, KeyRing
from ...storage.replies import number
from .sources import Sources


class FormerRecords:
    """Which former records still stand behind sessions of this site. All methods may raise `StoreUnavailable`.

    `seconds` is how long a former record may live, `closed_seconds` how long a sign-out is remembered.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: KeyRing,
        repository: SessionRepository,
        sources: Sources,
        prefix: str,
        seconds: int,
        closed_seconds: int,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._repository = repository
        self._sources = sources
        self._everybody = f"{prefix}migration:closed"
        self._seconds = seconds
        self._closed_seconds = closed_seconds

    def link(self, account: str, handle: str, key: str) -> None:
        """Note that the former record `key` ends together with the session of an account."""
        name = self._key(account, "former")
        self._connection.call("HSET", name, handle, self._keys.encrypt(key.encode(), name.encode()))
        self._connection.call("EXPIRE", name, self._seconds)

    def unlink(self, account: str, handle: str) -> None:
        """Forget it: the session ends, and the former record does not."""
        self._connection.call("HDEL", self._key(account, "former"), handle)

    def end(self, account: str, handle: str) -> None:
        """End the former record behind a session that has ended."""
        name = self._key(account, "former")
        stored = self._connection.call("HGET", name, handle)
        if stored:
            self._delete(name, stored)
            self._connection.call("HDEL", name, handle)

    def end_all(self, account: str, but: str = "") -> None:
        """End those behind all sessions of an account, but for the one with a handle."""
        name = self._key(account, "former")
        for handle, stored in list(self._connection.fields(name)):
            if handle.decode() != but:
                self._delete(name, stored)
                self._connection.call("HDEL", name, handle)

    def close(self, account: str | None) -> None:
        """Note that an account, or what stands for a login, signed out now; with `None` everybody."""
        now = self._repository.time()
        name = self._everybody if account is None else self._key(account, "closed")
        self._connection.call("SET", name, now, "EX", self._closed_seconds)

    def closed_at(self, account: str) -> tuple[int, int]:
        """Return when the account last signed out, and when everybody was signed out; 0 for never. In milliseconds
        since the epoch.
        """
        stored = (self._connection.call("GET", name) for name in (self._key(account, "closed"), self._everybody))
        own, everybody = (number(each) if each else 0 for each in stored)
        return own, everybody

    def _delete(self, name: str, stored: bytes) -> None:
        try:
            self._sources.delete(self._keys.decrypt(stored, name.encode()).decode())
        except DecryptionFailed:
            return  # of a secret that is gone; the record ends by its own clock

    def _key(self, account: str, name: str) -> str:
        return self._repository.account_keys(account).account_key(name)
