"""What open tabs compare: a digest of each thing that the server keeps for an account."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import blake2b

from ...sessions.record import LoadedSession

_BYTES = 6  # enough to notice a change; the server decides nothing by them
RIGHTS = "rights"


def state_of(live: LoadedSession, rights: str | None) -> dict[str, str]:
    """Return a digest for each value that parts keep for the account, by its name, and one of what it may do
    (`Services.privileges`, None if the look-up of the role failed).

    The values were read with the session, so this asks Redis nothing. They are encrypted: a digest tells only that
    something is different now. A missing value has no digest.
    """
    values = {name: value for name, value in live.account_values.items() if value is not None}
    if rights is not None:
        values[RIGHTS] = rights.encode()
    return {name: _digest(name, live.record.handle, value) for name, value in values.items()}


def _digest(name: str, handle: str, value: bytes) -> str:
    # Of this session alone: equal digests must not tell that two accounts have the same rights.
    found = blake2b(value, digest_size=_BYTES, key=f"{name} {handle}".encode()[:64]).digest()
    return urlsafe_b64encode(found).decode()
