"""Why Redis did not do what it was asked to."""

from __future__ import annotations

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from ..errors import StoreUnavailable


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
