"""What happens, as frozen dataclasses sent through one blinker signal.

    from sessions_core import events

    @events.happened.connect
    def note(event, **_):
        statistics[event.name] += 1

An event names sessions by their handle and users by their account. It never holds a session id, a nonce, a signature
or a secret: what is published here ends up in logs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, TypeVar

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
    """Something that happened; `name` is what logs and clients call it.

    `kind` and `kept` are for a log that users read: under which filter it lists the event, and how it bounds its
    number. What a session may do without limit is "routine". What an attacker can cause without limit in the name of
    an account is "refusals". `only_logged` says that no such log takes it: any client can cause it without end, or it
    is about no user. `times` are the fields that hold milliseconds since the epoch.
    """

    name: ClassVar[str]
    kind: ClassVar[Literal["", "sign_ins", "ends", "changes", "refusals"]] = ""
    kept: ClassVar[Literal["activity", "routine", "refusals"]] = "activity"
    only_logged: ClassVar[bool] = False
    times: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        if "name" in vars(cls):
            _classes[cls.name] = cls


_classes: dict[str, type[Event]] = {}


def class_of(name: str) -> type[Event] | None:
    """Return the class of the events with this name, or `None` for a name that nothing here has."""
    return _classes.get(name)


def names_of(kind: str) -> tuple[str, ...]:
    """Return the names of the events of a kind."""
    return tuple(name for name, each in _classes.items() if each.kind == kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCreated(Event):
    """An account signed in."""

    name: ClassVar[str] = "session.created"
    kind = "sign_ins"
    handle: str
    account: str
    session_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRenewed(Event):
    """A user asked to stay signed in; the idle clock starts again."""

    name: ClassVar[str] = "session.renewed"
    kind = "changes"
    kept = "routine"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRotated(Event):
    """The session goes on under a new id; the old id is dead."""

    name: ClassVar[str] = "session.rotated"
    kind = "changes"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerIdRefused(Event):
    """An id that the session had before, or that a change of rights is about to replace, came from another browser
    than the one that started it: it may be stolen.
    """

    name: ClassVar[str] = "session.former_id_refused"
    kind = "refusals"
    kept = "refusals"
    handle: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfirmed(Event):
    """The wallet signed again for exactly this action; both clocks of the session started again."""

    name: ClassVar[str] = "session.confirmed"
    kind = "changes"
    handle: str
    account: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(Event):
    """A session was revoked; `account` is `None` where only an id of before was known.

    `reason` says why: by its user, from elsewhere, replaced by another sign-in, over the limit of the account. Clocks
    that run out in Redis make no event.
    """

    name: ClassVar[str] = "session.ended"
    kind = "ends"
    handle: str
    account: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionsRevoked(Event):
    """All sessions at once are dead from now on: of an account (`scope` is "all", or "others" to keep the one that
    asked), or with `account=None` of all accounts ("everybody").
    """

    name: ClassVar[str] = "session.revoked_all"
    kind = "ends"
    account: str | None
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationUnconfirmed(Event):
    """Sessions have ended, but too few replicas have confirmed it: a failover now could bring them back. `account` is
    `None` where all users were signed out, or where it is not known.
    """

    name: ClassVar[str] = "session.unconfirmed"
    only_logged = True
    account: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordUnreadable(Event):
    """A stored record could not be opened: tampered with, of another key, or of another format."""

    name: ClassVar[str] = "session.unreadable"
    kind = "refusals"
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInFailed(Event):
    """A sign-in was refused; `account` is the one that the challenge was for, if this site issued it."""

    name: ClassVar[str] = "signin.failed"
    kind = "refusals"
    kept = "refusals"
    code: str
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationFailed(Event):
    """A signature that should have confirmed an action was refused; nothing was done."""

    name: ClassVar[str] = "confirmation.failed"
    kind = "refusals"
    kept = "refusals"
    handle: str
    account: str
    action: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChallengeReplayed(Event):
    """A used challenge came again: a form that was sent twice, or a replay by an attacker."""

    name: ClassVar[str] = "challenge.replayed"
    kind = "refusals"
    kept = "refusals"
    account: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletChanged(Event):
    """Another account signed in where `before` was; nothing of its session was carried over."""

    name: ClassVar[str] = "wallet.changed"
    kind = "sign_ins"
    account: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChanged(Event):
    """The same address signed in for another network; permissions follow the new signature."""

    name: ClassVar[str] = "network.changed"
    kind = "sign_ins"
    account: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefused(Event):
    """Any other request was refused with this code of the closed set. `cause` is for developers: what was wrong, and
    the line to write.
    """

    name: ClassVar[str] = "request.refused"
    kind = "refusals"
    kept = "refusals"
    only_logged = True
    code: str
    endpoint: str | None
    reason: str | None = None
    cause: str | None = None


def publish(event: Event) -> None:
    """Log the event and send it to all receivers connected to `happened`."""
    logger.info("%s %s", event.name, asdict(event), extra={"event": event})
    happened.send(event)
