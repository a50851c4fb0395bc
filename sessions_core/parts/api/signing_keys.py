"""The keys that sign session tokens: P-256 keys in Redis, encrypted, that rotate by themselves.

    {signing}:keys   string  encrypted: the keys as JWKs, oldest first

A key is published before it signs, so that services with a cached copy of the public keys know it in time. It stays
published after its last signature, for as long as its tokens live (RFC 7517).
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import msgspec

from ... import events
from ...sessions.repository import SessionRepository
from ...settings import DAY, MINUTE
from ...storage import scripts
from ...storage.connection import RedisConnection
from ...storage.encrypted_value import attempts
from ...storage.encryption import DecryptionFailed, KeyRing

if TYPE_CHECKING:
    from joserfc.jwk import ECKey

AHEAD = 10 * MINUTE * 1000  # milliseconds between publishing a key and signing with it
_TURN = 30 * DAY * 1000  # milliseconds after which a key gets a successor
_KEPT_SECONDS = 60.0  # how long a process goes on without reading the keys again
_ASKED_SECONDS = 1.0  # how often, at most, a token with an unknown key makes it read them earlier


class _Key(msgspec.Struct, frozen=True):
    jwk: dict[str, Any]
    created_at: int


class SigningKeys:
    """Reads the keys, makes the first and the next; raises `StoreUnavailable` when Redis does not answer.

    `token_seconds` is how long tokens live that the keys sign.
    """

    def __init__(
        self,
        connection: RedisConnection,
        ring: KeyRing,
        repository: SessionRepository,
        redis_prefix: str,
        token_seconds: int,
    ) -> None:
        self._connection = connection
        self._ring = ring
        self._repository = repository
        self._name = f"{redis_prefix}{{signing}}:keys"
        self._tokens_live = token_seconds * 1000
        self._read_at = float("-inf")
        self._signer: ECKey | None = None
        self._by_id: dict[str, ECKey] = {}

    def signer(self) -> ECKey:
        """Return the key that signs now."""
        self._read_unless_newer_than(_KEPT_SECONDS)
        assert self._signer is not None  # noqa: S101  # there is at least one key once they are read
        return self._signer

    def find(self, key_id: str) -> ECKey | None:
        """Return the key with this id (`kid`), or `None`. A flood of made-up ids costs Redis one read a second."""
        self._read_unless_newer_than(_KEPT_SECONDS if key_id in self._by_id else _ASKED_SECONDS)
        return self._by_id.get(key_id)

    def public(self) -> list[dict[str, Any]]:
        """Return the public halves as JWKs (RFC 7517), oldest first."""
        self._read_unless_newer_than(_KEPT_SECONDS)
        return [dict(key.as_dict(private=False)) for key in self._by_id.values()]

    def _read_unless_newer_than(self, seconds: float) -> None:
        if time.monotonic() - self._read_at < seconds:
            return
        from . import es256  # slow to import: see there

        keys, now = self._current()
        self._by_id = {key.jwk["kid"]: es256.read_key(key.jwk) for key in keys}
        ripe = [key for key in keys if key.created_at + AHEAD <= now]
        # The very first signs at once: no service can have a cached copy without it yet.
        self._signer = self._by_id[(ripe or keys[:1])[-1].jwk["kid"]]
        self._read_at = time.monotonic()

    def _current(self) -> tuple[list[_Key], int]:
        for _ in attempts("the signing keys"):
            stored = self._connection.call("GET", self._name)
            now = self._repository.time()
            known = self._opened(stored)
            keys = self._turned(known, now)
            if keys == known and stored and self._ring.is_newest(stored):
                return keys, now
            encrypted = self._ring.encrypt(msgspec.json.encode(keys), self._name.encode())
            # Of two processes that make the next key at once, the later takes the earlier's.
            if self._connection.run(scripts.COMPARE_AND_SWAP, (self._name,), stored or b"", encrypted) == 1:
                return keys, now
        raise AssertionError  # `attempts` has raised

    def _opened(self, stored: bytes | None) -> list[_Key]:
        if not stored:
            return []
        try:
            return msgspec.json.decode(self._ring.decrypt(stored, self._name.encode()), type=list[_Key])
        except (DecryptionFailed, msgspec.MsgspecError):
            # Changed by hand, or encrypted with a retired secret. Tokens live for minutes: new keys cost their
            # holders one refresh, and end no session.
            events.publish(events.RecordUnreadable(key=self._name))
            return []

    def _turned(self, keys: list[_Key], now: int) -> list[_Key]:
        """Return the keys with a successor if the newest is due for one, and without those no longer needed."""
        if not keys or keys[-1].created_at + _TURN <= now:
            from . import es256  # slow to import: see there

            keys = [*keys, _Key(es256.make_key(secrets.token_urlsafe(9)), now)]
        outlived = [later.created_at + AHEAD + self._tokens_live + MINUTE * 1000 <= now for later in keys[1:]]
        return [key for key, gone in zip(keys, [*outlived, False], strict=True) if not gone]
