"""Stored sessions as tests make, find and damage them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

from redis import Redis

from sessions_core.records import Live
from sessions_core.web.services import Services

from .actors import Visitor


def key_of(redis: Redis, live: Live) -> bytes:
    [key] = redis.keys(f"*:session:{hashlib.sha256(live.id.encode()).hexdigest()}")
    return key


FIELDS = ("active", "revision", "idle", "ends", "epoch", "site", "sealed")


def change(redis: Redis, live: Live, field: str, how: Callable[[bytes], bytes]) -> None:
    """Change one field of a stored record, as somebody who can write to Redis would."""
    parts = redis.get(key_of(redis, live)).split(b"|", 6)
    position = FIELDS.index(field)
    changed = how(parts[position])
    assert changed != parts[position]
    parts[position] = changed
    redis.set(key_of(redis, live), b"|".join(parts), keepttl=True)


def together(*steps: Callable[[], Any]) -> list[Any]:
    """Run all steps at the same moment, and return what they returned, in their order."""
    barrier = threading.Barrier(len(steps))
    results: list[Any] = [None] * len(steps)

    def run(number: int, step: Callable[[], Any]) -> None:
        barrier.wait()
        results[number] = step()

    threads = [threading.Thread(target=run, args=(number, step)) for number, step in enumerate(steps)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def everything(redis: Redis) -> bytes:
    """Every key and every value in Redis, in one piece."""
    parts: list[bytes] = []
    for key in redis.keys("*"):
        kind = redis.type(key)
        value = redis.hgetall(key) if kind == b"hash" else redis.get(key)
        parts += [key, *([*value.keys(), *value.values()] if isinstance(value, dict) else [value])]
    return b"\n".join(parts)


def live_of(services: Services, visitor: Visitor) -> Live:
    live = services.records.load(visitor.session_id, "never")
    assert isinstance(live, Live)
    return live
