"""Finds in a request what the former session store gave its browser, and reads it."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Request
from flask.json.tag import TaggedJSONSerializer
from itsdangerous import BadData, SignatureExpired, Signer, URLSafeTimedSerializer

from ...errors import StoreUnavailable
from ...sessions.record import well_formed
from ...storage import scripts
from ...storage.connection import RedisConnection
from ...storage.replies import items
from .options import REDIS, REMEMBER_COOKIE, SIGNED_COOKIE, MigrationSettings
from .refused import Refused
from .stored_data import LARGEST, decoded, mapping

_READ = scripts.load(Path(__file__).with_name("read.lua"))
_SID = re.compile(r"[A-Za-z0-9_-]{20,128}", re.ASCII)  # any longer or shorter one is not of Flask-Session
_SIGNED_SID = re.compile(r"([A-Za-z0-9_-]{20,128})\.[A-Za-z0-9_-]{20,60}", re.ASCII)  # SESSION_USE_SIGNER
_SIGNED = re.compile(r"\.?[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{20,60}", re.ASCII)
_LONGEST_COOKIE = 8192  # characters; browsers keep 4096


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request brought, and of which source. `value` proves who sent it, so it is never logged."""

    source: str
    value: str

    @property
    def digest(self) -> str:
        """What Redis knows it by."""
        return hashlib.sha256(f"{self.source} {self.value}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Former:
    """What a former session held. `made_at` is when its cookie was signed, in milliseconds since the epoch, or `None`
    if that is not known. `remember` says whether its cookie outlives the browser.
    """

    data: dict[Any, Any]
    remember: bool
    made_at: int | None = None


class Sources:
    """Reads what was presented. `own_cookie` is the session cookie of this site, `secrets` signed the former ones."""

    def __init__(
        self, options: MigrationSettings, connection: RedisConnection, secrets: tuple[str, ...], own_cookie: str
    ) -> None:
        self._options = options
        self._connection = connection
        self._own_cookie = own_cookie
        # Flask signs with the bytes of a secret; a SECRET_KEY of bytes was read as latin-1.
        self._secrets = [key for each in secrets for key in dict.fromkeys((_utf8(each), _latin(each)))]
        self._serializer = URLSafeTimedSerializer(
            self._secrets,
            salt="cookie-session",
            serializer=TaggedJSONSerializer(),
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha1},
        )
        self._readers: dict[str, Callable[[Presented], Former]] = {
            REDIS: self._read_record,
            SIGNED_COOKIE: self._read_signed,
            REMEMBER_COOKIE: self._read_remember,
        }

    def presented(self, request: Request) -> Iterator[Presented]:
        """Yield what the request brought, the session before the remember cookie. Raises `Refused` for what has no
        form that is known.
        """
        options = self._options
        remember = request.cookies.get(options.migrate_remember_cookie)
        remembered = remember is not None and REMEMBER_COOKIE in options.migrate_from
        cookie = request.cookies.get(options.migrate_cookie, "")
        if cookie and not (options.migrate_cookie == self._own_cookie and well_formed(cookie)):
            source = self._source_of(cookie)
            if source:
                yield Presented(source, self._sid(cookie) if source == REDIS else cookie)
            elif not remembered:
                raise Refused("malformed")
        if remembered:
            yield Presented(REMEMBER_COOKIE, remember or "")

    def _source_of(self, cookie: str) -> str | None:
        wanted = self._options.migrate_from
        if REDIS in wanted and (_SID.fullmatch(cookie) or _SIGNED_SID.fullmatch(cookie)):
            return REDIS
        if SIGNED_COOKIE in wanted and len(cookie) <= _LONGEST_COOKIE and _SIGNED.fullmatch(cookie):
            return SIGNED_COOKIE
        return None

    def read(self, presented: Presented) -> Former:
        """Return what a former session held. Raises `Refused`, and `StoreUnavailable` if Redis does not answer."""
        return self._readers[presented.source](presented)

    def key(self, presented: Presented) -> str | None:
        """Return the key of the former record in its Redis; `None` for a cookie that holds the session itself."""
        return self._options.migrate_key_prefix + presented.value if presented.source == REDIS else None

    def ping(self) -> None:
        """Raise `StoreUnavailable` if the former Redis does not answer."""
        self._connection.call("PING")

    def delete(self, key: str) -> None:
        """Delete a former record."""
        self._connection.call("DEL", key)

    def _sid(self, cookie: str) -> str:
        signed = _SIGNED_SID.fullmatch(cookie)
        if signed is None:
            return cookie
        try:
            signer = Signer(self._secrets, salt="flask-session", key_derivation="hmac")
            return signer.unsign(cookie).decode()
        except BadData as error:
            raise Refused("unsigned") from error

    def _read_record(self, presented: Presented) -> Former:
        key = str(self.key(presented))
        # While the former servers run, a session that is used here must not expire there.
        lives = self._options.migrate_seconds * 1000 if self._options.migrate_beside else 0
        reply = self._connection.run(_READ, (key,), LARGEST, lives)
        if not isinstance(reply, list) or not reply:
            raise StoreUnavailable("Redis did not say what a key holds", retry_after=2)
        outcome = reply[0].decode()
        if outcome != "found":
            raise Refused({"none": "expired", "large": "too_large"}.get(outcome, "unreadable"))
        data = decoded(items(reply, 2)[1], self._options.migrate_unpickle)
        return Former(data, remember=bool(data.get("_permanent")))

    def _read_signed(self, presented: Presented) -> Former:
        try:
            data, made = self._serializer.loads(
                presented.value, max_age=self._options.migrate_seconds, return_timestamp=True
            )
        except SignatureExpired as error:
            raise Refused("expired") from error
        except BadData as error:
            raise Refused("unsigned") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Refused("unreadable", f"a cookie that fails with {type(error).__name__}") from error
        data = mapping(data)
        return Former(data, bool(data.get("_permanent")), int(made.timestamp() * 1000))

    def _read_remember(self, presented: Presented) -> Former:
        user, _, digest = presented.value.rpartition("|")
        text = user.encode("utf-8", "surrogatepass")
        made = (hmac.new(key, text, hashlib.sha512).hexdigest() for key in self._secrets)
        given = digest.encode("utf-8", "surrogatepass")
        if not any(hmac.compare_digest(each.encode(), given) for each in made):
            raise Refused("unsigned")
        return Former({"_user_id": user}, remember=True)


def _latin(secret: str) -> bytes:
    try:
        return secret.encode("latin-1")
    except UnicodeEncodeError:
        return _utf8(secret)


def _utf8(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")
