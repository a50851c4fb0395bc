"""The last sign-ins of an account, for its other sessions to be told of: who was tricked into one learns of it.

They are one string beside the sessions of the account, which each of its requests reads anyway: base64 of sealed
sign-ins, newest first, with a bar between them. Each is sealed by itself, so that the script that starts a session
adds it in the same step, and two at once are both there. Who writes to Redis can drop one or repeat it, and can
neither make one up nor carry it to another account.

They are for one day. After SECRET_KEY was rotated nobody seals them anew: when the former secret is dropped, they are
gone or about to go, and one that can't be opened is left out.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator

import msgspec

from ...settings import DAY
from ...storage.encryption import KeyRing, Unsealable

KEPT = 8
SECONDS = DAY


class SignIn(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """A session's beginning: its handle, where it was and with which wallet, as far as its type lets that be kept.

    `at` is in milliseconds since the epoch, by Redis's clock.
    """

    handle: str
    device: str = ""
    ip: str = ""
    wallet: str = ""
    at: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SignIn).decode


def seal(keys: KeyRing, key: str, sign_in: SignIn) -> bytes:
    """Return a sign-in as it is stored under this key of Redis."""
    return b64encode(keys.seal(_encode(sign_in), key.encode()))


def since(keys: KeyRing, key: str, stored: bytes, own: str, now: int) -> list[SignIn]:
    """Return the sign-ins of the last day that came after that of the session with the handle `own`, newest first.

    `now` is in milliseconds since the epoch. Without an entry of that session all came after it: it was pushed out,
    or ran out of its day.
    """
    # By their place and not by their time: of two in the same millisecond the later one is told to the earlier.
    found: list[SignIn] = []
    for sign_in in _opened(keys, key, stored):
        if sign_in.handle == own:
            break
        if now - sign_in.at < SECONDS * 1000:
            found.append(sign_in)
    return found


def _opened(keys: KeyRing, key: str, stored: bytes) -> Iterator[SignIn]:
    for sealed in stored.split(b"|") if stored else ():
        try:
            yield _decode(keys.open(b64decode(sealed, validate=True), key.encode()))
        except (Unsealable, msgspec.MsgspecError, ValueError):
            continue  # no event, which each page of the day would repeat
