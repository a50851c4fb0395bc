"""Stored sessions as tests make, find and damage them."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Any

from redis import Redis

from sessions_core.sessions.record import LoadedSession

ANOTHER = "another secret of 32 characters or more, 9876543210"
MINUTE, HOUR, DAY = 60, 3600, 86_400
IDLE, ABSOLUTE = 30 * MINUTE, 12 * HOUR
ALICE, BOB = (
    "eip155:1:0x52908400098527886E0F7030069857D2E4169EE7",
    "eip155:1:0xde709f2102306220921060314715629080e2fb77",
)


def key_of(redis: Redis, live: LoadedSession) -> bytes:
    [key] = redis.keys(f"*:session:{hashlib.sha256(live.id.encode()).hexdigest()}")
    return key


FIELDS = ("active", "revision", "idle", "ends", "epoch", "site", "sealed")


def change(redis: Redis, live: LoadedSession, field: str, how: Callable[[bytes], bytes]) -> None:
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
