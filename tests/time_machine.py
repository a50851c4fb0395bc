"""Lets time pass in a real Redis: everything stored becomes older, sealed times and expiries included.

Redis's clock can't be set, so the world is moved instead: after `pass_time(60)` every record, nonce and index entry
is as it would be a minute later, and the injected clock of the application is a minute ahead.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable

import msgspec
from flask import Flask
from redis import Redis

from sessions_core.parts.api import Api
from sessions_core.parts.api.refresh_tokens import FAMILY
from sessions_core.parts.api.signing_keys import SigningKeys
from sessions_core.parts.contract_wallets.proof import PROOF
from sessions_core.parts.devices import recent_sign_ins
from sessions_core.parts.devices.recent_sign_ins import DEVICE
from sessions_core.parts.operations.readiness import Readiness
from sessions_core.sessions.record import SessionRecord
from sessions_core.storage.connection import RedisConnection
from sessions_core.testing.clocks import older
from sessions_core.web.services import Services

from .part_services import roles_of
from .stored import FIELDS, keys_of, rewrite


class Clock:
    """The injected clock of the application."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def read_long_ago(*signing_keys: SigningKeys, seconds: float = math.inf) -> None:
    """Let so much time pass since each process has read its signing keys; by default it reads them at once again."""
    for each in signing_keys:
        each._read_at -= seconds


def ask_again(link: RedisConnection) -> None:
    """Let the second pass in which Redis is not asked since it did not answer."""
    link._breaker._next_try = 0.0


def use_clock(link: RedisConnection, clock: Callable[[], float]) -> None:
    """Have another clock decide when a Redis that did not answer is asked again; it counts seconds."""
    link._breaker.clock = clock


def finish_looking(readiness: Readiness, seconds: float) -> str | None:
    """Wait until the check of Redis in the background is over; return its trouble."""
    assert readiness._looking is not None
    return readiness._looking.result(seconds)


class TimeMachine:
    def __init__(self, app: Flask, redis: Redis, clock: Clock) -> None:
        services: Services = app.extensions["sessions_core"]
        self._repository = services.repository
        self._signing_keys = services.part(Api).signing_keys
        self._standings = roles_of(services)._values
        self._redis = redis
        self._clock = clock

    def __call__(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._clock.ahead += seconds
        milliseconds = int(seconds * 1000)
        by_ending = {
            ":index": self._age_index,
            ":standing": self._age_standing,
            ":news": self._age_news,
            "{signing}:keys": self._age_signing_keys,
            "{activity}:budget": self._age_budget,
            (":activity", ":routine", ":refusals"): self._age_stream,
            ("{directory}:changed", "{directory}:seen"): self._age_times,
        }
        for key in self._redis.keys("*"):
            name = key.decode()
            if ":session:" in name:
                self._age_record(name, milliseconds)
            elif ":log" in name:
                self._age_log(name, milliseconds)
            elif age := next((each for ending, each in by_ending.items() if name.endswith(ending)), None):
                age(name, milliseconds)
            ttl = self._redis.pttl(key)
            if ttl > milliseconds:
                self._redis.pexpire(key, ttl - milliseconds)
            elif ttl >= 0:
                self._redis.delete(key)

    def _age_record(self, key: str, milliseconds: int) -> None:
        def age(record: SessionRecord, fields: list[bytes]) -> None:
            older(record, milliseconds)
            proof, family = PROOF.of(record), FAMILY.of(record)
            if proof.checked_at:
                PROOF.put(record, msgspec.structs.replace(proof, checked_at=proof.checked_at - milliseconds))
            if family.moved_at:
                FAMILY.put(record, msgspec.structs.replace(family, moved_at=family.moved_at - milliseconds))
            device = DEVICE.of(record)
            if device.known_since:
                DEVICE.put(record, msgspec.structs.replace(device, known_since=device.known_since - milliseconds))
            active, ends = FIELDS.index("active"), FIELDS.index("ends")
            fields[active] = b"%013d" % (int(fields[active]) - milliseconds)
            fields[ends] = b"%d" % (int(fields[ends]) - milliseconds)

        rewrite(self._redis, self._repository, key, age)

    def _age_signing_keys(self, key: str, milliseconds: int) -> None:
        ring = keys_of(self._signing_keys)
        keys = json.loads(ring.decrypt(self._redis.get(key), key.encode()))
        aged = [each | {"created_at": each["created_at"] - milliseconds} for each in keys]
        self._redis.set(key, ring.encrypt(json.dumps(aged).encode(), key.encode()))
        read_long_ago(self._signing_keys)  # as long ago as that, and longer, every process has read them again

    def _age_times(self, key: str, milliseconds: int) -> None:
        for member in self._redis.zrange(key, 0, -1):
            self._redis.zincrby(key, -milliseconds, member)

    def _age_standing(self, key: str, milliseconds: int) -> None:
        standing = self._standings.decode(key, self._redis.get(key))
        older = msgspec.structs.replace(standing, verified_until=standing.verified_until - milliseconds)
        self._redis.set(key, self._standings.encode(key, older))

    def _age_news(self, key: str, milliseconds: int) -> None:
        keys, stored = keys_of(self._repository), self._redis.get(key)
        told = recent_sign_ins.since(keys, key, stored, "", 0)
        older = [msgspec.structs.replace(each, at=each.at - milliseconds) for each in told]
        self._redis.set(key, b"|".join(recent_sign_ins.encrypted(keys, key, each) for each in older), keepttl=True)

    def _age_index(self, key: str, milliseconds: int) -> None:
        for digest, entry in self._redis.hgetall(key).items():
            older = re.sub(rb"(?<=\|)\d+(?=\|)", lambda found: b"%d" % (int(found[0]) - milliseconds), entry)
            self._redis.hset(key, digest, older)

    def _age_log(self, key: str, milliseconds: int) -> None:
        entries, ttl = self._redis.lrange(key, 0, -1), self._redis.pttl(key)
        self._redis.delete(key)
        for entry in entries:
            at, _, rest = entry.partition(b"-")
            self._redis.rpush(key, b"%d-" % (int(at) - milliseconds) + rest)
        self._redis.pexpire(key, ttl)

    def _age_budget(self, key: str, milliseconds: int) -> None:
        days, ttl = self._redis.hgetall(key), self._redis.pttl(key)
        self._redis.delete(key)
        self._redis.hset(key, mapping={int(day) - milliseconds // 86_400_000: held for day, held in days.items()})
        self._redis.pexpire(key, ttl)

    def _age_stream(self, key: str, milliseconds: int) -> None:
        entries, ttl = self._redis.xrange(key), self._redis.pttl(key)
        self._redis.delete(key)
        for stream_id, entry in entries:
            at, number = stream_id.split(b"-")
            self._redis.xadd(key, entry, f"{int(at) - milliseconds}-{int(number)}")
        self._redis.pexpire(key, ttl)
