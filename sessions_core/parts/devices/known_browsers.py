"""Which accounts a browser has signed in with before, in a cookie of its own: a sign-in from there is no news.

The cookie decides two things: whether the other sessions of the account are told of a sign-in, and whether the list
of devices calls it new. No right follows from it. It is encrypted with a key derived from SECRET_KEY, for nobody else
to read: neither the accounts nor their number. It names accounts by their tag, at most five, each for 90 days after
its latest sign-in.

An attacker who copies the cookie still needs a signature of the account, and then signs in without a notice. So the
cookie counts only in the kind of browser that got it ("Firefox on Linux"). The IP address does not count: on a phone
it changes several times a day, and users who are told of each change stop reading. An attacker who was signed in once
has a cookie of their own that counts. So once a user signs out a device that they do not recognise, or all others, no
cookie of the account counts any more: each browser is new again at its next sign-in (`doubt`).
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

import msgspec
from werkzeug.wrappers import Request, Response

from ...sessions import cookies
from ...sessions.flask_session import SessionStore
from ...sessions.record import AccountKey, account_tag
from ...sessions.repository import SessionRepository
from ...settings import DAY
from ...storage import scripts
from ...storage.connection import RedisConnection
from ...storage.encryption import DecryptionFailed, KeyRing
from ...storage.replies import number

MOST = 5
SECONDS = 90 * DAY
DOUBT = AccountKey(name="doubt", read=False)

_DOUBT_UNTIL = scripts.load(Path(__file__).with_name("doubt.lua"))
_PLACE = b"known browser"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43,512}", re.ASCII)


class Known(msgspec.Struct, array_like=True, frozen=True):
    """An account that this browser has signed in with: its tag, and when it first and last did, in milliseconds
    since the epoch by Redis's clock.
    """

    tag: str
    since: int
    latest: int


class Contents(msgspec.Struct, array_like=True, frozen=True):
    """What the cookie holds: what the browser was called ("Firefox on Linux"), and its accounts, the latest first."""

    device: str = ""
    accounts: tuple[Known, ...] = ()


_decode = msgspec.msgpack.Decoder(Contents).decode


class KnownBrowsers:
    """Reads and writes the cookie. What can't be read counts as no cookie: the sign-in is then told of."""

    def __init__(
        self, keys: KeyRing, store: SessionStore, repository: SessionRepository, connection: RedisConnection
    ) -> None:
        self._keys = keys
        self._store = store
        self._repository = repository
        self._connection = connection
        self.cookie_name = store.name_of("device")

    def since(self, request: Request, account: str, device: str, now: int) -> int:
        """Return since when the browser of this request is known to sign in with an account (CAIP-10); 0 if it
        is not. Times are in milliseconds since the epoch.

        `device` is what the browser is called ("Firefox on Linux"). Asks Redis only for a browser that may be
        known; raises `StoreUnavailable` if Redis does not answer.
        """
        tag = account_tag(account)
        found = next((each for each in self._read(request, device).accounts if each.tag == tag), None)
        if found is None or now - found.latest >= SECONDS * 1000:
            return 0
        doubted = number(self._connection.call("GET", self._doubt_key(account)) or 0, DOUBT.name)
        return found.since if found.latest > doubted else 0

    def remember(
        self, request: Request, response: Response, account: str, device: str, since: int, now: int
    ) -> Response:
        """Note with a response that the browser has signed in with an account; it is known `since` then."""
        known = Known(account_tag(account), since, now)
        others = (each for each in self._read(request, device).accounts if each.tag != known.tag)
        kept = (known, *(each for each in others if now - each.latest < SECONDS * 1000))[:MOST]
        value = self.value_of(Contents(device, kept))
        response.set_cookie(self.cookie_name, value, max_age=SECONDS, **self._store.cookie_attributes())
        return response

    def value_of(self, contents: Contents) -> str:
        """Return the value of a cookie with these contents."""
        encrypted = self._keys.encrypt(msgspec.msgpack.encode(contents), _PLACE)
        return base64.urlsafe_b64encode(encrypted).decode().rstrip("=")

    def doubt(self, account: str, now: int) -> None:
        """Let no cookie count that was written for an account until `now`, in milliseconds since the epoch."""
        self._connection.run(_DOUBT_UNTIL, (self._doubt_key(account),), now, SECONDS)

    def _doubt_key(self, account: str) -> str:
        return self._repository.account_keys(account).account_key(DOUBT.name)

    def _read(self, request: Request, device: str) -> Contents:
        values = cookies.values(request, self.cookie_name)
        value = cookies.own_value(values, _VALUE.fullmatch, prefixed=self._store.settings.cookie_secure) or ""
        try:
            encrypted = base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
            found = _decode(self._keys.decrypt(encrypted, _PLACE))
        except (DecryptionFailed, binascii.Error, ValueError, msgspec.MsgspecError):
            return Contents()
        return found if found.device == device else Contents()
