"""Lets time pass in a real Redis: everything stored becomes older, sealed times and expiries included.

Redis's clock can't be set, so the world is moved instead: after `pass_time(60)` every record, nonce and index entry
is as it would be a minute later, and the injected clock of the application is a minute ahead.
"""

from __future__ import annotations

import json
import math
import re
import time

import msgspec
from flask import Flask
from redis import Redis

from sessions_core.parts.api.refresh_tokens import FAMILY
from sessions_core.parts.contract_wallets.rechecks import PROOF
from sessions_core.parts.devices import recent_sign_ins
from sessions_core.sessions.record import SessionRecord
from sessions_core.sessions.repository import associated_data
from sessions_core.sessions.session_data import to_stored
from sessions_core.web.services import Services


class Clock:
    """The injected clock of the application."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class TimeMachine:
    def __init__(self, app: Flask, redis: Redis, clock: Clock) -> None:
        services: Services = app.extensions["wallet_sessions"]
        self._repository = services.repository
        self._signing_keys = services.signing_keys
        self._standings = services.directory._values
        self._redis = redis
        self._clock = clock

    def __call__(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._clock.ahead += seconds
        milliseconds = int(seconds * 1000)
        for key in self._redis.keys("*"):
            name = key.decode()
            if ":session:" in name:
                self._age_record(name, milliseconds)
            elif name.endswith(":index"):
                self._age_index(name, milliseconds)
            elif name.endswith(":standing"):
                self._age_standing(name, milliseconds)
            elif name.endswith(":news"):
                self._age_news(name, milliseconds)
            elif name.endswith("{signing}:keys"):
                self._age_signing_keys(name, milliseconds)
            elif name.endswith((":activity", ":routine", ":refusals")):
                self._age_stream(name, milliseconds)
            ttl = self._redis.pttl(key)
            if ttl > milliseconds:
                self._redis.pexpire(key, ttl - milliseconds)
            elif ttl >= 0:
                self._redis.delete(key)

    def _age_record(self, key: str, milliseconds: int) -> None:
        active, *header, encrypted = self._redis.get(key).split(b"|", 6)
        keys = self._repository._keys
        record: SessionRecord = self._repository.decode(keys.decrypt(encrypted, associated_data(key, header)))
        record.created_at -= milliseconds
        record.signed_at -= milliseconds
        record.restarted_at -= milliseconds if record.restarted_at else 0
        proof, family = PROOF.of(record), FAMILY.of(record)
        if proof.checked_at:
            PROOF.put(record, msgspec.structs.replace(proof, checked_at=proof.checked_at - milliseconds))
        if family.moved_at:
            FAMILY.put(record, msgspec.structs.replace(family, moved_at=family.moved_at - milliseconds))
        record.formers = tuple(
            msgspec.structs.replace(former, at=former.at - milliseconds) for former in record.formers
        )
        record.confirmed = {action: at - milliseconds for action, at in record.confirmed.items()}
        header[2] = b"%d" % (int(header[2]) - milliseconds)
        record.data = to_stored(record.data)
        encrypted = keys.encrypt(self._repository._encode(record), associated_data(key, header))
        older = b"%013d" % (int(active) - milliseconds)
        self._redis.set(key, b"|".join((older, *header, encrypted)), keepttl=True)

    def _age_signing_keys(self, key: str, milliseconds: int) -> None:
        keys = json.loads(self._signing_keys._ring.decrypt(self._redis.get(key), key.encode()))
        older = [each | {"created_at": each["created_at"] - milliseconds} for each in keys]
        self._redis.set(key, self._signing_keys._ring.encrypt(json.dumps(older).encode(), key.encode()))
        self._signing_keys._read_at = -math.inf  # as long ago as that, and longer, every process has read them again

    def _age_standing(self, key: str, milliseconds: int) -> None:
        standing = self._standings.decode(key, self._redis.get(key))
        older = msgspec.structs.replace(standing, verified_until=standing.verified_until - milliseconds)
        self._redis.set(key, self._standings.encode(key, older))

    def _age_news(self, key: str, milliseconds: int) -> None:
        keys, stored = self._repository._keys, self._redis.get(key)
        told = recent_sign_ins.since(keys, key, stored, "", 0)
        older = [msgspec.structs.replace(each, at=each.at - milliseconds) for each in told]
        self._redis.set(key, b"|".join(recent_sign_ins.encrypted(keys, key, each) for each in older), keepttl=True)

    def _age_index(self, key: str, milliseconds: int) -> None:
        for digest, entry in self._redis.hgetall(key).items():
            older = re.sub(rb"(?<=\|)\d+(?=\|)", lambda found: b"%d" % (int(found[0]) - milliseconds), entry)
            self._redis.hset(key, digest, older)

    def _age_stream(self, key: str, milliseconds: int) -> None:
        entries, ttl = self._redis.xrange(key), self._redis.pttl(key)
        self._redis.delete(key)
        for stream_id, entry in entries:
            at, number = stream_id.split(b"-")
            self._redis.xadd(key, entry, f"{int(at) - milliseconds}-{int(number)}")
        self._redis.pexpire(key, ttl)
