"""What happens, as frozen dataclasses sent through one blinker signal.

    from sessions_core import events

    @events.happened.connect
    def note(event, **_):
        statistics[event.name] += 1

An event names sessions by their handle and people by their account. It never holds a session id, a nonce, a
signature or a secret: what is published here ends up in logs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

from blinker import ANY, Signal

logger = logging.getLogger(__name__)

Receiver = TypeVar("Receiver", bound=Callable[..., Any])


class Happened(Signal):
    """The signal of all events, each of which is its sender."""

    def connect(self, receiver: Receiver, sender: Any = ANY, weak: bool = False) -> Receiver:
        """Call `receiver` for every event. It is kept, unlike with other signals: a function made inside an
        application factory would be collected, and silently never called.
        """
        return super().connect(receiver, sender, weak)


happened = Happened()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; `name` is what logs and clients call it."""

    name: ClassVar[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreated(Event):
    """An account signed in."""

    name: ClassVar[str] = "session.created"
    handle: str
    account: str
    session_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRenewed(Event):
    """A person asked to stay signed in; the idle clock starts again."""

    name: ClassVar[str] = "session.renewed"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRotated(Event):
    """The session goes on under a new id; the old id is dead."""

    name: ClassVar[str] = "session.rotated"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerIdRefused(Event):
    """An id that the session had before, or that a change of rights is about to replace, came from another browser
    than the one that started it: it may be stolen.
    """

    name: ClassVar[str] = "session.former_id_refused"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefreshed(Event):
    """A client without cookies exchanged its refresh token for the next."""

    name: ClassVar[str] = "token.refreshed"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReused(Event):
    """A refresh token came back that somebody had exchanged before: stolen, so its session ends."""

    name: ClassVar[str] = "token.reused"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfirmed(Event):
    """The wallet signed again for exactly this action; both clocks of the session started again."""

    name: ClassVar[str] = "session.confirmed"
    handle: str
    account: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """A session was revoked; `account` is `None` where only an id of before was known.

    `reason` says why: by its person, from elsewhere, replaced by another sign-in, over the limit of the account.
    Clocks that run out in Redis make no event.
    """

    name: ClassVar[str] = "session.ended"
    handle: str
    account: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsRevoked(Event):
    """All sessions at once are dead from now on: of an account (`scope` is "all", or "others" to keep the one that
    asked), or with `account=None` of everybody ("everybody").
    """

    name: ClassVar[str] = "session.revoked_all"
    account: str | None
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationUnconfirmed(Event):
    """Sessions have ended, but too few replicas have confirmed it: a failover now could bring them back. `account` is
    `None` where everybody was signed out, or where it is not known.
    """

    name: ClassVar[str] = "session.unconfirmed"
    account: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUnreadable(Event):
    """A stored record could not be opened: tampered with, of another key, or of another format."""

    name: ClassVar[str] = "session.unreadable"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailed(Event):
    """A sign-in was refused; `account` is the one that the challenge was for, if the challenge is ours."""

    name: ClassVar[str] = "signin.failed"
    code: str
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationFailed(Event):
    """A signature that should have confirmed an action was refused; nothing was done."""

    name: ClassVar[str] = "confirmation.failed"
    handle: str
    account: str
    action: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeReplayed(Event):
    """A challenge that was spent came again: a form that was sent twice, or somebody who replays."""

    name: ClassVar[str] = "challenge.replayed"
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletChanged(Event):
    """Another account signed in where `before` was; nothing of its session was carried over."""

    name: ClassVar[str] = "wallet.changed"
    account: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChanged(Event):
    """The same address signed in for another network; permissions follow the new signature."""

    name: ClassVar[str] = "network.changed"
    account: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """Any other request was refused with this code of the closed set. `cause` is for developers: what was wrong, and
    the line to write.
    """

    name: ClassVar[str] = "request.refused"
    code: str
    endpoint: str | None
    reason: str | None = None
    cause: str | None = None


def publish(event: Event) -> None:
    """Log the event and send it to everybody who connected to `happened`."""
    logger.info("%s %s", event.name, asdict(event), extra={"event": event})
    happened.send(event)
