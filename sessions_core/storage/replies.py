"""Checks the shape of what Redis answered.

A proxy, a renamed command or a key that was written by hand can change it. That is an outage (503).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
