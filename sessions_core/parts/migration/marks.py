"""Remembers what was moved, so that it is moved once: across servers, after a lost answer, and after a sign-out.

A mark is one string of Redis under a digest of what was presented. It holds the id of the session that began, hidden
by what was presented: an attacker who reads Redis, and even knows SECRET_KEY, can't compute the id from it.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from operator import xor
from pathlib import Path

import msgspec

from ...errors import StoreUnavailable
from ...storage import scripts
from ...storage.connection import RedisConnection
from ...storage.encryption import DecryptionFailed, KeyRing
from .sources import Presented

_SWAP = scripts.load(Path(__file__).with_name("swap.lua"))
_BUSY = b"busy:"
_BUSY_SECONDS = 10.0  # after that a server that took something, and was killed, has not moved it
_PATIENCE, _PAUSE = 2.0, 0.02  # seconds that a request waits for another one with the same cookie


class Mark(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """What became of something that was presented.

    `hidden` is the id of its session and the value of the browser cookie, hidden by what was presented; empty if it
    was refused. `agent` is a digest of the user agent that presented it. `beside` says that the former session went
    on at the former servers, so it may be moved again when this one has ended.
    """

    hidden: bytes = b""
    agent: bytes = b""
    beside: bool = False


class Marks:
    """Reads and writes marks. All methods may raise `StoreUnavailable`."""

    def __init__(self, connection: RedisConnection, keys: KeyRing, prefix: str) -> None:
        self._connection = connection
        self._keys = keys
        self._prefix = f"{prefix}moved:"
        self._decode = msgspec.msgpack.Decoder(Mark).decode

    def stored(self, presented: Presented) -> bytes:
        """Return what is stored of something that was presented; nothing if it is new."""
        return self._connection.call("GET", self._key(presented)) or b""

    def read(self, presented: Presented, stored: bytes) -> Mark:
        """Return the mark that is stored. One that can't be decrypted counts as a refusal: it was not moved twice."""
        try:
            return self._decode(self._keys.decrypt(stored, self._key(presented).encode()))
        except (DecryptionFailed, msgspec.MsgspecError):
            return Mark()

    def claim(self, presented: Presented, expected: bytes = b"") -> bytes:
        """Claim it for this request if it is still stored as `expected`; return a token for `settle`, or nothing."""
        token = _BUSY + secrets.token_hex(8).encode()
        return token if self._swap(presented, expected, token, _BUSY_SECONDS) else b""

    def settle(self, presented: Presented, token: bytes, mark: Mark, seconds: float) -> bool:
        """Replace a claim by a mark; return False if another request has claimed it meanwhile."""
        packed = self._keys.encrypt(msgspec.msgpack.encode(mark), self._key(presented).encode())
        return self._swap(presented, token, packed, seconds)

    def settled(self, presented: Presented, stored: bytes = b"") -> bytes:
        """Return what is stored once no request has a claim to it; wait for that, and not longer than two seconds."""
        until = time.monotonic() + _PATIENCE
        stored = stored or self.stored(presented)
        while stored.startswith(_BUSY):
            if time.monotonic() > until:
                raise StoreUnavailable("another request is moving this session", retry_after=2)
            time.sleep(_PAUSE)
            stored = self.stored(presented)
        return stored

    def release(self, presented: Presented, stored: bytes) -> None:
        """Give up a claim, or forget what became of it, if that is still stored."""
        self._swap(presented, stored, b"", 0)

    def _swap(self, presented: Presented, expected: bytes, new: bytes, seconds: float) -> bool:
        arguments = (expected, new, int(seconds * 1000))
        return bool(self._connection.run(_SWAP, (self._key(presented),), *arguments) == 1)

    def _key(self, presented: Presented) -> str:
        return self._prefix + presented.digest


def hidden(presented: Presented, session_id: str, browser: str) -> bytes:
    """Return an id and a browser cookie as a mark holds them."""
    return _masked(presented, f"{session_id} {browser}".encode())


def shown(presented: Presented, mark: Mark) -> tuple[str, str]:
    """Return the id and the browser cookie of a mark."""
    session_id, _, browser = _masked(presented, mark.hidden).decode().partition(" ")
    return session_id, browser


def _masked(presented: Presented, text: bytes) -> bytes:
    mask = hashlib.shake_256(b"moved" + presented.value.encode("utf-8", "surrogatepass")).digest(len(text))
    return bytes(map(xor, text, mask))


def agent_digest(agent: str) -> bytes:
    """Return a digest of a User-Agent header."""
    return hashlib.sha256(agent.encode("utf-8", "surrogatepass")).digest()[:8]
