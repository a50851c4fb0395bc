"""Refresh tokens: each is good for one use, and using one twice ends the session (RFC 9700, section 4.14.2).

All refresh tokens that follow from one sign-in are a family. Its state is part of the session's encrypted record, so
it ends when the session does, an attacker who writes to Redis can't add a token to it, and changing it is the
record's own compare-and-swap: of two requests that refresh at once one moves the family on, and the other finds that
it has moved.

A token names its session and carries two secrets. The family's secret tells a token that this site issued from a
guess: a guess ends nothing. The generation's secret says which token of the family it is. Only their hashes are
stored. The secret of the next generation follows from the present one and a key inside the record, so that the loser
of a race is given exactly what the winner got.

A client whose answer was lost comes back later, with the token that it still has. It gets another successor, and the
one that was lost is cut off: if it turns up after all, another client got that answer, and the session ends.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple, NoReturn

import msgspec

from ... import events
from ...errors import SessionExpired, SessionInvalid
from ...sessions.flask_session import WalletSession
from ...sessions.lifecycle import Lifecycle
from ...sessions.record import GRACE, ROTATED, EndedSession, LoadedSession, Section, SessionRecord
from ...sessions.repository import SessionRepository
from ...storage.encrypted_value import attempts
from ...web.guards import amend_if_writable
from ...web.services import Services
from .end_reasons import REUSED
from .errors import TokenInvalid
from .events import TokenRefreshed, TokenReused

_PART = r"[A-Za-z0-9_-]"
_TOKEN = re.compile(rf"rt_({_PART}{{12}})([a-z]{{1,16}}_{_PART}{{16}})\.({_PART}{{22}})\.({_PART}{{43}})", re.ASCII)


class Family(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The refresh tokens of a session: hashes of the family's secret, of the newest token's and of the one before,
    the key from which the next follows, when the newest was made (milliseconds since the epoch), and whether the
    session token that came with it was used. Without an `id` the session has none.
    """

    id: bytes = b""
    key: bytes = b""
    current: bytes = b""
    previous: bytes = b""
    generation: int = 0
    moved_at: int = 0
    used: bool = False

    def moved_on(self, used: bytes, current: bytes, now: int) -> Family:
        """Return the family after one of its tokens was exchanged for a new one; `used` and `current` are hashes."""
        return msgspec.structs.replace(
            self,
            current=current,
            previous=used,
            generation=self.generation + 1,
            moved_at=now,
            used=False,
        )


FAMILY = Section("api", Family)


class _Parts(NamedTuple):
    tag: str
    handle: str
    family: str
    secret: str


class Refreshed(NamedTuple):
    """The session that goes on, and the token to use next."""

    live: LoadedSession
    token: str


class Refresh:
    """Starts families and moves them on; raises `StoreUnavailable` when Redis does not answer."""

    def __init__(self, repository: SessionRepository, lifecycle: Lifecycle) -> None:
        self._repository = repository
        self._lifecycle = lifecycle

    def start(self) -> tuple[Family, str, str]:
        """Return a new family for a record that is about to be stored, and the two secrets of its first token."""
        family, secret = secrets.token_urlsafe(16), secrets.token_urlsafe(32)
        return Family(id=_hash(family), key=secrets.token_bytes(32), current=_hash(secret)), family, secret

    def token(self, live: LoadedSession, family: str, secret: str) -> str:
        """Return the token that stands for these secrets of a session's family."""
        return f"rt_{live.keys.tag}{live.record.handle}.{family}.{secret}"

    def redeem(self, text: str, *, keep_alive: bool = True) -> Refreshed:
        """Move the family of a token on, and with `keep_alive` start the idle clock of its session again.

        Raises `TokenInvalid` if it is not a token of a living family, `SessionExpired` or `SessionInvalid` if the
        session has ended; the latter with the reason `token_reused` if it ends for this very token.
        """
        parts = _parse(text)
        for _ in attempts("the family"):
            live, family = self._find(parts)
            presented = _hash(parts.secret)
            newest = hmac.compare_digest(presented, family.current)
            again = hmac.compare_digest(presented, family.previous)
            # Both ways: another process may have read Redis's clock a little later than this one.
            in_time = abs(live.now - family.moved_at) <= GRACE
            if not newest and not (again and (in_time or not family.used)):
                self._end(live)
            if newest or not in_time:
                successor = _successor(family, family.generation + 1, parts.secret)
                FAMILY.put(live.record, family.moved_on(presented, _hash(successor), live.now))
                if self._repository.save(live, when_full=True) != "saved":
                    continue  # another request was first, or the session has ended: look again
                events.publish(TokenRefreshed(handle=live.record.handle, account=live.record.account))
            else:
                successor = _successor(family, family.generation, parts.secret)
            # Last: a token of another family must not keep this session alive.
            kept = self._repository.keep_alive(live) if keep_alive else live
            if kept != ROTATED:  # or it has just moved to another id: look there
                return Refreshed(_alive(kept), self.token(live, parts.family, successor))
        raise AssertionError  # `attempts` has raised

    def revoke(self, text: str, reason: str) -> None:
        """End the session of a token, the newest one or an older one. A token without a living session counts as
        ended already: its holder could do no more about it (RFC 7009, section 2.2).
        """
        try:
            live, _ = self._find(_parse(text))
        except (TokenInvalid, SessionExpired, SessionInvalid):
            return
        self._lifecycle.revoke(live, reason)

    def _find(self, parts: _Parts) -> tuple[LoadedSession, Family]:
        found = _alive(self._repository.load_handle(parts.tag, parts.handle, "never"))
        family = FAMILY.of(found.record)
        if not family.id or not hmac.compare_digest(_hash(parts.family), family.id):
            raise TokenInvalid("of no family")
        return found, family

    def _end(self, live: LoadedSession) -> NoReturn:
        # Two clients have this token, and one of them stole it. The server can't know which of the two is asking, so
        # both have to sign in again.
        if self._lifecycle.revoke(live, REUSED.name):
            events.publish(TokenReused(handle=live.record.handle, account=live.record.account))
        raise SessionInvalid(reason=REUSED.name)


def note_use_of(services: Services, session: WalletSession) -> None:
    """Note that a client has used the session token that came with the newest refresh token.

    So the answer with both tokens was not lost. One write for each refresh.
    """
    from .session_tokens import SessionTokenClaims

    live, claims = session.account_live, session.claims
    if live is None or not isinstance(claims, SessionTokenClaims):
        return
    generation = claims.payload.gen
    if _is_unused(FAMILY.of(live.record), generation):
        # Without Redis's writes there is no refresh either: the next request notes it.
        amend_if_writable(services, session, lambda record: _note_use(record, generation))


def _is_unused(family: Family, generation: int | None) -> bool:
    """Whether a session token of the family's newest generation was not used yet."""
    return bool(family.id) and not family.used and family.generation == generation


def _note_use(record: SessionRecord, generation: int | None) -> None:
    family = FAMILY.of(record)
    if _is_unused(family, generation):  # else another request has noted it, or the family has moved on
        FAMILY.put(record, msgspec.structs.replace(family, used=True))


def _alive(found: LoadedSession | EndedSession) -> LoadedSession:
    if isinstance(found, EndedSession):
        raise (SessionExpired if found.reason in ("idle", "absolute") else SessionInvalid)(reason=found.reason)
    return found


def _successor(family: Family, generation: int, secret: str) -> str:
    digest = hmac.new(family.key, f"{generation}.{secret}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _parse(text: str) -> _Parts:
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise TokenInvalid("not a refresh token")
    return _Parts(*found.groups())


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
