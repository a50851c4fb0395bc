"""AES-256-GCM with a ring of keys: the newest encrypts, each of them decrypts.

An encrypted value is key id (4 bytes) ‖ nonce (12 bytes, random) ‖ ciphertext and tag (NIST SP 800-38D). The
associated data is not stored; it ties a value to the place it was read from, so that a value copied to another key
can't be decrypted. Random nonces are good for 2^32 values per key: at a hundred writes a second, rotate SECRET_KEY
once a year.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Sequence
from operator import xor

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_ID, _NONCE = 4, 12


class DecryptionFailed(Exception):
    """The value was changed, moved to another place, or encrypted with a key that is no longer in the ring."""


class KeyRing:
    """Keys derived once from the secrets (HKDF-SHA256, RFC 5869); decrypting a value derives nothing."""

    def __init__(self, secrets: Sequence[str], purpose: str) -> None:
        self._keys: dict[bytes, AESGCM] = {}
        for key in derived(secrets, purpose):
            self._newest = hashlib.sha256(b"key id" + key).digest()[:_ID]
            self._keys[self._newest] = AESGCM(key)

    @property
    def ids(self) -> list[str]:
        """The ids of the keys, in hex, as encrypted values begin with them."""
        return [each.hex() for each in self._keys]

    @property
    def newest_id(self) -> str:
        """The id, in hex, of the key that encrypts."""
        return self._newest.hex()

    def encrypt(self, plaintext: bytes, associated: bytes) -> bytes:
        """Encrypt with the newest key."""
        nonce = os.urandom(_NONCE)
        return self._newest + nonce + self._keys[self._newest].encrypt(nonce, plaintext, associated)

    def decrypt(self, encrypted: bytes, associated: bytes) -> bytes:
        """Return the plaintext; raise `DecryptionFailed` for anything not encrypted for this place."""
        key = self._keys.get(encrypted[:_ID]) if isinstance(encrypted, bytes) else None
        if key is None:
            raise DecryptionFailed("encrypted with an unknown key")
        try:
            return key.decrypt(encrypted[_ID : _ID + _NONCE], encrypted[_ID + _NONCE :], associated)
        except (InvalidTag, ValueError) as error:
            raise DecryptionFailed("not what was encrypted") from error

    def reencrypt(self, encrypted: bytes, associated: bytes) -> bytes | None:
        """Return a value encrypted again with the newest key. Return `None` if the newest key encrypted it, or if no
        key of the ring can decrypt it: other processes may know its secret.
        """
        if self.is_newest(encrypted):
            return None
        try:
            return self.encrypt(self.decrypt(encrypted, associated), associated)
        except DecryptionFailed:
            return None

    def is_ours(self, encrypted: bytes) -> bool:
        """Whether a key of the ring has the id in this value; another process may know more keys."""
        return encrypted[:_ID] in self._keys

    def is_newest(self, encrypted: bytes) -> bool:
        """Whether the newest key encrypted this; it may still fail to decrypt."""
        return encrypted[:_ID] == self._newest


def derived(secrets: Sequence[str], purpose: str) -> list[bytes]:
    """Return a key for each secret (HKDF-SHA256, RFC 5869)."""
    raw = (secret.encode("utf-8", "surrogatepass") for secret in secrets)
    return [HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret) for secret in raw]


def permuted(key: bytes, block: bytes, *, back: bool = False) -> bytes:
    """Return twelve bytes encrypted to twelve bytes, or decrypted again.

    A Feistel network of four rounds of HMAC-SHA-256 (Luby and Rackoff, 1988). AES would make sixteen of them.
    """
    left, right = block[:6], block[6:]
    for number in b"3210" if back else b"0123":
        mask = hmac.digest(key, bytes((number,)) + right, "sha256")
        left, right = right, bytes(map(xor, left, mask))
    return right + left
