"""All of Redis at one moment, to show that a refused request changed nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from redis import Redis

from sessions_core import events

from .constants import REDIS_PREFIX

# What a refusal enters: the record of what happened, and how often this network asked.
_ENTERED, _COUNTERS = (b"activity", b"refusals", b"{activity}:budget"), f"{REDIS_PREFIX}limit:".encode()


def snapshot(redis: Redis) -> dict[bytes, bytes | None]:
    """Return every key with its serialised value, but for those that every refusal enters."""
    keys = (key for key in redis.keys("*") if not key.endswith(_ENTERED) and not key.startswith(_COUNTERS))
    return {key: redis.dump(key) for key in keys}


@contextmanager
def unchanged(redis: Redis, *, spent: int = 0) -> Iterator[None]:
    """Assert that the block changes no key and lets none live longer; `spent` is how many nonces it may burn."""
    before = snapshot(redis)
    clocks = {key: redis.pttl(key) for key in before}
    yield
    after = snapshot(redis)
    burnt = {key for key in after.keys() - before.keys() if key.startswith(f"{REDIS_PREFIX}nonce:".encode())}
    assert len(burnt) == spent
    now = {key: value for key, value in after.items() if key not in burnt}
    changed = {key for key in now.keys() | before.keys() if now.get(key) != before.get(key)}
    assert changed == set(), changed
    for key, left in clocks.items():
        assert redis.pttl(key) <= left or left == -1, f"{key!r} lives longer than before"


@contextmanager
def refused(redis: Redis, happened: list[events.Event], code: str, *, spent: int = 0) -> Iterator[None]:
    """Assert that the block is refused with `code`: exactly one event, and nothing changed but `spent` nonces."""
    happened.clear()
    with unchanged(redis, spent=spent):
        yield
    replay = ["challenge.replayed"] if code == "challenge_used" else []
    assert [getattr(event, "code", event.name) for event in happened] == [*replay, code]
