"""Values that are encrypted under their key, and changed by compare-and-swap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import msgspec

from .. import events
from ..errors import StoreUnavailable
from . import scripts
from .connection import RedisConnection
from .encryption import DecryptionFailed, KeyRing

T = TypeVar("T")

_ATTEMPTS = 100


def attempts(what: str) -> Iterator[int]:
    """Count the attempts of a compare-and-swap: in each round at least one of the writers gets through.

    The caller leaves the loop when its own write did. Raises `StoreUnavailable` in the end: `what` kept changing.
    """
    yield from range(_ATTEMPTS)
    raise StoreUnavailable(f"{what} kept changing", retry_after=1)


class EncryptedValues(Generic[T]):
    """Values of the type `kind` (a `msgspec.Struct`), each under a key of its own.

    `default` is what is not stored. `unreadable(key, stored)` stands for what can't be decrypted: it was changed by
    hand, or its secret is gone; without it that is the default, too.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keys: KeyRing,
        kind: type[T],
        default: T,
        unreadable: Callable[[str, bytes], T] | None = None,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._kind = kind
        self._decoder = msgspec.msgpack.Decoder(kind)
        self._default = default
        self._unreadable = unreadable or (lambda key, stored: default)

    def decode(self, key: str, stored: bytes | None) -> T:
        """Return the value that was stored under a key."""
        if not stored:
            return self._default
        try:
            return self._decoder.decode(self._keys.decrypt(stored, key.encode()))
        except (DecryptionFailed, msgspec.MsgspecError):
            events.publish(events.RecordUnreadable(key=key))
            return self._unreadable(key, stored)

    def encode(self, key: str, value: T) -> bytes:
        """Return a value as it is stored under a key."""
        return self._keys.encrypt(msgspec.msgpack.encode(value), key.encode())

    def read(self, key: str) -> T:
        """Return the value of a key."""
        return self.decode(key, self._connection.call("GET", key))

    def change(self, key: str, change: Callable[[T], T | None]) -> tuple[T, T | None]:
        """Replace a value by what `change` makes of it, in one step; `None` leaves it as it is. Return what it was
        and what it is, or `None`. `change` may be called more than once.
        """
        for _ in attempts(key):
            stored = self._connection.call("GET", key)
            before = self.decode(key, stored)
            after = change(before)
            if after is None or self.swap(key, stored, self.encode(key, after)):
                return before, after
        raise AssertionError  # `attempts` has raised

    def swap(self, key: str, expected: bytes | None, new: bytes) -> bool:
        """Replace what is stored if it is as expected; return whether it was."""
        return bool(self._connection.run(scripts.COMPARE_AND_SWAP, (key,), expected or b"", new) == 1)


def reencrypt(connection: RedisConnection, keys: KeyRing, pattern: str) -> int:
    """Encrypt with the newest secret what an older one had encrypted; return how many values. Without this, they
    would go with the secret that is dropped after a rotation. What can't be decrypted is left as it is.
    """
    count = 0
    for key in connection.scan(pattern):
        stored = connection.call("GET", key) or b""
        newest = keys.reencrypt(stored, key.encode())
        if newest is not None:
            count += connection.run(scripts.COMPARE_AND_SWAP, (key,), stored, newest)
    return count
