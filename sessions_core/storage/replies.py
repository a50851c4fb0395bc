"""Checks the shape of what Redis answered, and says in one word why it refused.

A proxy, a renamed command or a key that was written by hand can change the shape. That is an outage (503).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError, ReadOnlyError, ResponseError

from ..errors import StoreUnavailable


def number(reply: Any, key: str = "") -> int:
    """Return a whole number from a reply, or from the value of `key`; raise `StoreUnavailable` if it is none."""
    try:
        if isinstance(reply, (int, bytes)):
            return int(reply)
    except ValueError:
        pass
    raise StoreUnavailable(f"{key or 'a reply of Redis'} holds no number", retry_after=2)


def items(reply: Any, count: int | None = None) -> list[Any]:
    """Return the items of a reply, `count` of them if it is given; raise `StoreUnavailable` if it has others."""
    if not isinstance(reply, list) or (count is not None and len(reply) != count):
        raise StoreUnavailable("a reply of Redis has another shape than its command answers", retry_after=2)
    return reply


def pairs(reply: Any) -> Iterator[tuple[bytes, bytes]]:
    """Return the fields and values of a hash: a list in turns, of which redis-py has made a dict for a Cluster."""
    if isinstance(reply, dict):
        return iter(reply.items())
    found = items(reply)
    return zip(found[::2], found[1::2], strict=False)


def trouble_of(error: StoreUnavailable) -> str:
    """Return in one word why Redis did not do what it was asked to."""
    cause = error.__cause__
    # By the text too: an error inside a script has the text of the other and not its class.
    for kind, code, word in (
        (ReadOnlyError, "READONLY", "redis_replica"),
        (OutOfMemoryError, "OOM", "redis_full"),
        (BusyLoadingError, "LOADING", "redis_loading"),
        (AuthenticationError, "NOAUTH", "redis_refuses"),
    ):
        if isinstance(cause, kind) or (isinstance(cause, ResponseError) and f"-{code} " in str(cause)):
            return word
    return "redis_refuses" if isinstance(cause, ResponseError) else "redis_unreachable"


def takes_no_writes(error: StoreUnavailable) -> bool:
    """Whether Redis refused this because it takes no writes at all for now: a replica, a full disk, a master that
    has lost its replicas.
    """
    cause = error.__cause__
    refused = any(code in str(cause) for code in ("READONLY", "MISCONF", "NOREPLICAS"))
    return isinstance(cause, ReadOnlyError) or (isinstance(cause, ResponseError) and refused)
