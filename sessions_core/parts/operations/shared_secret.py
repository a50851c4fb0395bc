"""One prefix in Redis belongs to one application: all that use it have the same secret."""

from __future__ import annotations

import base64
import logging

from ...errors import Misconfigured, StoreUnavailable
from ...storage import scripts
from ...storage.connection import RedisConnection
from ...storage.encryption import DecryptionFailed, KeyRing

logger = logging.getLogger(__name__)

_MOST_VALUES = 4  # of secrets that are in use at once while one is being rotated


def refuse_other_secret(connection: RedisConnection, keys: KeyRing, prefix: str) -> None:
    """Refuse to start beside an application that has another secret under the same prefix, such as staging beside
    production: they would end each other's sessions and replace each other's signing keys.

    Redis keeps a value that each secret in use has encrypted, the latest four of them. An application that opens one
    of them adds its own, so that processes with the former secret start during a rotation too.
    """
    key = f"{prefix}secret"
    try:
        for _ in range(10):
            stored = connection.call("GET", key) or b""
            values = [base64.b64decode(each) for each in stored.split(b"|") if each]
            if values and not any(_opens(keys, each, key) for each in values):
                raise Misconfigured(
                    f"Another application uses this Redis with the prefix {prefix!r} and another SECRET_KEY. Give "
                    "each its own SESSIONS_CORE_REDIS_PREFIX. If the secret was replaced on purpose, add the former "
                    f"one to SECRET_KEY_FALLBACKS, or if it must not be used again, run: redis-cli DEL {key}"
                )
            if any(keys.is_newest(each) for each in values):
                return
            newest = [keys.encrypt(b"secret", key.encode()), *values][:_MOST_VALUES]
            if (
                connection.run(scripts.COMPARE_AND_SWAP, (key,), stored, b"|".join(map(base64.b64encode, newest)))
                == 1
            ):
                return
    except (StoreUnavailable, ValueError) as error:
        logger.warning("Whether others use this Redis with another secret was not checked: %s", error)


def _opens(keys: KeyRing, encrypted: bytes, key: str) -> bool:
    try:
        return keys.decrypt(encrypted, key.encode()) == b"secret"
    except DecryptionFailed:
        return False
