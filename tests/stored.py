"""What is stored, as tests find, read and damage it.

Names that the product keeps to itself are used here and in `time_machine`, so that a change of the format of records
changes these modules and no test.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from sessions_core.parts.activity.activity_log import ActivityLog, packed
from sessions_core.parts.api.signing_keys import SigningKeys
from sessions_core.parts.linked_wallets.linked_accounts import AccountLinking
from sessions_core.sessions.record import EndedSession, LoadedSession, SessionKeys, SessionRecord, digest_of
from sessions_core.sessions.repository import SessionRepository, associated_data
from sessions_core.sessions.session_data import to_stored
from sessions_core.storage.connection import RedisConnection
from sessions_core.storage.encryption import KeyRing
from sessions_core.web.services import Services

from .actors import Visitor

# -- The parts of the product --------------------------------------------------------------------------------------


def link_of(part: SessionRepository | AccountLinking | ActivityLog) -> RedisConnection:
    """Return the connection to Redis that a part of the application uses."""
    return part._connection


def round_trips(connection: RedisConnection, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list to which each exchange with Redis from now on adds its seconds."""
    exchanges: list[float] = []
    monkeypatch.setattr(connection, "observe", exchanges.append)
    return exchanges


def keys_of(part: SessionRepository | ActivityLog | SigningKeys) -> KeyRing:
    """Return the keys with which a part of the application encrypts what it stores."""
    return part._ring if isinstance(part, SigningKeys) else part._keys


def site_epoch_of(repository: SessionRepository) -> str:
    """Return the key of the epoch that counts the revocations of all sessions."""
    return repository._global_epoch


# -- Records -------------------------------------------------------------------------------------------------------

FIELDS = ("active", "revision", "idle", "ends", "epoch", "site", "sealed")


def key_of(redis: Redis, live: LoadedSession) -> bytes:
    """Return the key of a session's record."""
    [key] = redis.keys(f"*:session:{digest_of(live.id)}")
    return key


def fields_of(redis: Redis, key: str | bytes) -> list[bytes]:
    """Return the fields of a stored record, in the order of `FIELDS`."""
    return redis.get(key).split(b"|", len(FIELDS) - 1)


def change(redis: Redis, live: LoadedSession, field: str, how: Callable[[bytes], bytes]) -> None:
    """Change one field of a stored record, as an attacker who can write to Redis would."""
    key = key_of(redis, live)
    parts = fields_of(redis, key)
    position = FIELDS.index(field)
    changed = how(parts[position])
    assert changed != parts[position]
    parts[position] = changed
    redis.set(key, b"|".join(parts), keepttl=True)


def replace_sealed(redis: Redis, repository: SessionRepository, live: LoadedSession, plaintext: bytes) -> None:
    """Put another plaintext into a stored record, as an attacker who knows the secret would."""
    key = key_of(redis, live)
    change(redis, live, "sealed", lambda _: _sealed_as(repository, key, fields_of(redis, key), plaintext))


def rewrite(
    redis: Redis, repository: SessionRepository, key: str, how: Callable[[SessionRecord, list[bytes]], None]
) -> None:
    """Change a stored record, its fields included, as the server would: it stays readable."""
    fields = fields_of(redis, key)
    record = repository.decode(repository._keys.decrypt(fields[-1], associated_data(key, fields[1:-1])))
    how(record, fields)
    record.data = to_stored(record.data)
    fields[-1] = _sealed_as(repository, key, fields, repository._encode(record))
    redis.set(key, b"|".join(fields), keepttl=True)


def _sealed_as(repository: SessionRepository, key: str | bytes, fields: list[bytes], plaintext: bytes) -> bytes:
    key = key.decode() if isinstance(key, bytes) else key
    return repository._keys.encrypt(plaintext, associated_data(key, fields[1:-1]))


def end_of(repository: SessionRepository, keys: SessionKeys) -> EndedSession:
    """Return why the session that was stored here is no more."""
    return repository._end_reason(keys)


def before_it_is_stored(
    monkeypatch: pytest.MonkeyPatch, repository: SessionRepository, step: Callable[[], object]
) -> None:
    """Do something once, between encrypting the next record and storing it."""
    sealed = repository.encrypted

    def step_first(live: LoadedSession) -> bytes:
        record = sealed(live)
        monkeypatch.setattr(repository, "encrypted", sealed)
        step()
        return record

    monkeypatch.setattr(repository, "encrypted", step_first)


def live_of(services: Services, visitor: Visitor) -> LoadedSession:
    """Return the session of a visitor, without keeping it alive."""
    live = services.repository.load(visitor.session_id, "never")
    assert isinstance(live, LoadedSession)
    return live


# -- The activity log, and all of Redis ----------------------------------------------------------------------------


def encoded_entry(log: ActivityLog, entry: object) -> bytes:
    """Return an entry of the activity log before it is encrypted; nothing checks that it is one."""
    return log._encode(entry)


def sealed_entry(log: ActivityLog, where: str, plaintext: bytes, account: str | None = None) -> bytes:
    """Return an entry of the activity log as it stands in a log of an account, or in one of the site."""
    return log._keys.encrypt(plaintext if account is None else packed(plaintext, account), where.encode())


def everything(redis: Redis) -> bytes:
    """Every key and every value in Redis, in one piece."""
    parts: list[bytes] = []
    for key in redis.keys("*"):
        kind = redis.type(key)
        value = redis.hgetall(key) if kind == b"hash" else redis.get(key)
        parts += [key, *([*value.keys(), *value.values()] if isinstance(value, dict) else [value])]
    return b"\n".join(parts)
