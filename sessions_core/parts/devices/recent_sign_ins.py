"""The last sign-ins of an account, shown in its other sessions: a user who was tricked into one learns of it.

A sign-in from a known browser (`known_browsers`) is no news, and not among them. They are one string beside the
sessions of the account, which each of its requests reads anyway: base64 of encrypted sign-ins, newest first, with a
bar between them. Each is encrypted by itself, so that the script that starts a session adds it in the same step, and
two at once are both there. An attacker who writes to Redis can drop one or repeat it, but can't forge one or move it
to another account.

The first session of an account has no other to tell, and makes no entry. Entries last one day, so they are not
encrypted again after SECRET_KEY was rotated: when the former secret is dropped, they are gone or about to go. One
that can't be decrypted is left out.
"""

from __future__ import annotations

import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator

import msgspec

from ...sessions.record import AccountKey, LoadedSession, Section, SessionRecord
from ...settings import DAY
from ...storage.encryption import DecryptionFailed, KeyRing
from ...web.request_client import Client

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


class Device(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """Where a session was last used from: a description, the user agent and the address, as far as that is kept.
    `label` is its user's own name for it; `recognised` are the handles of sign-ins elsewhere that they know about.
    `known_since` is when its browser first signed in with the account, in milliseconds since the epoch; 0 if that
    was with this session.
    """

    device: str = ""
    packed_agent: bytes = b""
    ip: str = ""
    label: str = ""
    recognised: tuple[str, ...] = ()
    known_since: int = 0

    @property
    def agent(self) -> str:
        """The user agent."""
        return _unpacked(self.packed_agent)


DEVICE = Section("device", Device)

# What most user agents consist of, the most frequent last: with it a hundred characters are stored in twenty bytes.
# Only the agent is compressed: beside a secret of the record, lengths could tell a reader of Redis what that is.
_AGENTS = (
    b"Mobile Safari/537.36 Edg/ OPR/ SamsungBrowser/ CriOS/ FxiOS/ (Windows NT 10.0; Win64; x64; rv: Gecko/20100101 "
    b"Firefox/Mozilla/5.0 (X11; Linux x86_64; rv:Mozilla/5.0 (X11; Linux x86_64) Mozilla/5.0 (Linux; Android 10; K) "
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 1_ like Mac OS X) Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/1"
    b" Mobile/15E148 Safari/605.1.15 AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1"
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1.0.0.0 Safari/537.36"
)
_WINDOW = -10  # 1 kB, which holds the dictionary, without a header


def packed(agent: str) -> bytes:
    """Return a user agent as it is stored."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW, memLevel=4, zdict=_AGENTS)
    return packer.compress(agent.encode()) + packer.flush() if agent else b""


def _unpacked(stored: bytes) -> str:
    try:
        return zlib.decompressobj(_WINDOW, zdict=_AGENTS).decompress(stored).decode() if stored else ""
    except (zlib.error, ValueError):  # another version's
        return ""


def note_client(record: SessionRecord, client: Client) -> None:
    """Put into a record where its session is used from."""
    before = DEVICE.of(record)
    DEVICE.put(
        record, msgspec.structs.replace(before, device=client.device, packed_agent=packed(client.agent), ip=client.ip)
    )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SignIn).decode


def _entry(keys: KeyRing, key: str, record: SessionRecord) -> bytes:
    device = DEVICE.of(record)
    if device.known_since:
        return b""
    sign_in = SignIn(
        handle=record.handle, device=device.device, ip=device.ip, wallet=record.wallet, at=record.created_at
    )
    return encrypted(keys, key, sign_in)


SIGN_INS = AccountKey(name="news", entry=_entry, most=KEPT, seconds=SECONDS)


class RecentSignIns:
    """Reads the last sign-ins of accounts."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def elsewhere(self, live: LoadedSession) -> list[SignIn]:
        """Return the sign-ins of this account in the last day that came after that of this session, newest first, as
        they were read with it; at most `KEPT`.
        """
        key, stored = live.keys.account_key(SIGN_INS.name), live.account_values.get(SIGN_INS.name) or b""
        started = live.record.created_at if DEVICE.of(live.record).known_since else None
        return since(self._keys, key, stored, live.record.handle, live.now, started)


def encrypted(keys: KeyRing, key: str, sign_in: SignIn) -> bytes:
    """Return a sign-in as it is stored under this key of Redis."""
    return b64encode(keys.encrypt(_encode(sign_in), key.encode()))


def since(keys: KeyRing, key: str, stored: bytes, own: str, now: int, started: int | None = None) -> list[SignIn]:
    """Return the sign-ins of the last day that came after that of the session with the handle `own`, newest first.

    `now` is in milliseconds since the epoch. Without an entry of that session all came after it: it was pushed out,
    or ran out of its day. A session that has no entry since its browser is known says when it `started` instead.
    """
    # By their place and not by their time: of two in the same millisecond the later one is told to the earlier.
    found: list[SignIn] = []
    for sign_in in _opened(keys, key, stored):
        if sign_in.handle == own or (started is not None and sign_in.at < started):
            break
        if now - sign_in.at < SECONDS * 1000:
            found.append(sign_in)
    return found


def _opened(keys: KeyRing, key: str, stored: bytes) -> Iterator[SignIn]:
    for encrypted in stored.split(b"|") if stored else ():
        try:
            yield _decode(keys.decrypt(b64decode(encrypted, validate=True), key.encode()))
        except (DecryptionFailed, msgspec.MsgspecError, ValueError):
            continue  # no event, which each page of the day would repeat
