"""Checks of the Redis server: what would lose sessions, what it refuses, and in one word why it did."""

from __future__ import annotations

import logging
from typing import Any

from redis.exceptions import AuthenticationError, BusyLoadingError, OutOfMemoryError, ReadOnlyError, ResponseError

from .connection import Link
from .errors import Misconfigured, StoreUnavailable

logger = logging.getLogger(__name__)


def refuse_unsafe_server(link: Link) -> None:
    """Refuse a production Redis that forgets: raise `Misconfigured` with the line that fixes it.

    Without the append-only file a restart loads an older snapshot, in which revoked sessions are alive again. With
    eviction, sessions, epochs and spent nonces vanish under memory pressure. A server that can't be asked is only
    logged.
    """
    try:
        info = _info(link.call("INFO"))
    except StoreUnavailable as error:
        logger.warning("Redis can't be checked (%s); make sure of appendonly and noeviction yourself", error)
        return
    version = info.get("redis_version", "")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < (6, 2):
        raise Misconfigured(f"Redis {version} is too old: sessions need Redis 6.2 or later, or Valkey.")
    for name, found, wanted in _forgets(info):
        raise Misconfigured(
            f"Redis has {name} {found}: a revoked session could come back, or a live one vanish. "
            f"Run: redis-cli CONFIG SET {name} {wanted} (and write it into redis.conf)."
        )


def trouble_now(link: Link, must_remember: bool) -> str | None:
    """Return in one word what keeps the Redis that answers now from holding sessions, if anything does.

    After a failover it may be another server than the one that was checked at start. With `must_remember` its
    append-only file and its eviction are looked at again. Raises `StoreUnavailable` if it does not answer at all.
    """
    try:
        info = _info(link.call("INFO"))
    except StoreUnavailable as error:
        if isinstance(error.__cause__, ResponseError):
            return None  # it may not be asked, which start-up has warned of
        raise
    if info.get("role") == "slave":
        return "redis_replica"
    return "redis_forgets" if must_remember and _forgets(info) else None


def trouble_of(error: StoreUnavailable) -> str:
    """Return in one word why Redis did not do what it was asked to."""
    cause = error.__cause__
    # By the text too: an error inside a script has the text of the other and not its class.
    for kind, code, word in (
        (ReadOnlyError, "READONLY", "redis_replica"),
        (OutOfMemoryError, "OOM", "redis_full"),
        (BusyLoadingError, "LOADING", "redis_loading"),
        (AuthenticationError, "NOAUTH", "redis_refuses"),
    ):
        if isinstance(cause, kind) or (isinstance(cause, ResponseError) and f"-{code} " in str(cause)):
            return word
    return "redis_refuses" if isinstance(cause, ResponseError) else "redis_unreachable"


def takes_no_writes(error: StoreUnavailable) -> bool:
    """Whether Redis refused this because it takes no writes at all for now: a replica, a full disk, a master that
    has lost its replicas.
    """
    cause = error.__cause__
    refused = any(code in str(cause) for code in ("READONLY", "MISCONF", "NOREPLICAS"))
    return isinstance(cause, ReadOnlyError) or (isinstance(cause, ResponseError) and refused)


def _forgets(info: dict[str, str]) -> list[tuple[str, str, str]]:
    # What would lose records, as the name of the setting, its value, and the one it has to have.
    found = {
        "appendonly": "no" if info.get("aof_enabled") == "0" else "yes",
        "maxmemory-policy": info.get("maxmemory_policy", "noeviction"),
    }
    wanted = (("appendonly", "yes"), ("maxmemory-policy", "noeviction"))
    return [(name, found[name], value) for name, value in wanted if found[name] != value]


def _info(answer: Any) -> dict[str, str]:
    if isinstance(answer, dict):  # redis-py has parsed it, for a Cluster
        return {str(key): str(value) for key, value in answer.items()}
    lines = (line.partition(":") for line in bytes(answer).decode().splitlines())
    return {key: value for key, _, value in lines}
