"""AES-256-GCM with a ring of keys: the newest seals, all of them open.

A sealed value is key id (4 bytes) ‖ nonce (12 bytes, random) ‖ ciphertext and tag (NIST SP 800-38D). The associated
data is not stored; it ties a value to the place it was read from, so that a value copied to another key does not
open. Random nonces are good for 2^32 values per key: at a hundred writes a second, rotate SECRET_KEY once a year.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_ID, _NONCE = 4, 12


class DecryptionFailed(Exception):
    """The value was changed, moved to another place, or sealed with a key that is no longer in the ring."""


class KeyRing:
    """Keys derived once from the secrets (HKDF-SHA256, RFC 5869); opening a value derives nothing."""

    def __init__(self, secrets: Sequence[str], purpose: str) -> None:
        self._keys: dict[bytes, AESGCM] = {}
        for secret in secrets:
            key = HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(secret.encode("utf-8", "surrogatepass"))
            self._newest = hashlib.sha256(b"key id" + key).digest()[:_ID]
            self._keys[self._newest] = AESGCM(key)

    @property
    def ids(self) -> list[str]:
        """What the keys are called in sealed values, in hex."""
        return [each.hex() for each in self._keys]

    @property
    def newest_id(self) -> str:
        """What the key is called that seals."""
        return self._newest.hex()

    def encrypt(self, plaintext: bytes, associated: bytes) -> bytes:
        """Seal with the newest key."""
        nonce = os.urandom(_NONCE)
        return self._newest + nonce + self._keys[self._newest].encrypt(nonce, plaintext, associated)

    def decrypt(self, sealed: bytes, associated: bytes) -> bytes:
        """Return the plaintext; raise `DecryptionFailed` for anything that was not sealed for exactly this place."""
        key = self._keys.get(sealed[:_ID]) if isinstance(sealed, bytes) else None
        if key is None:
            raise DecryptionFailed("sealed with an unknown key")
        try:
            return key.decrypt(sealed[_ID : _ID + _NONCE], sealed[_ID + _NONCE :], associated)
        except (InvalidTag, ValueError) as error:
            raise DecryptionFailed("not what was sealed") from error

    def reencrypt(self, sealed: bytes, associated: bytes) -> bytes | None:
        """Return a value sealed anew with the newest key; `None` if that sealed it, or if none of ours opens it:
        other processes may know its secret.
        """
        if self.is_newest(sealed):
            return None
        try:
            return self.encrypt(self.decrypt(sealed, associated), associated)
        except DecryptionFailed:
            return None

    def is_ours(self, sealed: bytes) -> bool:
        """Whether a key of the ring is named as the one that sealed this; another process may know more keys."""
        return sealed[:_ID] in self._keys

    def is_newest(self, sealed: bytes) -> bool:
        """Whether the newest key sealed this; it says nothing about whether it opens."""
        return sealed[:_ID] == self._newest
