"""The services that `extension` builds for an application, for guards, pages and JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from flask import Flask, current_app

from .. import parts as folder
from ..access.actions import Actions
from ..access.policy import MEMBER, AccountStatus, Policy
from ..errors import BodyMalformed, SessionsError, _
from ..part import MenuEntry, Part
from ..sessions.flask_session import SessionStore, TokenClaims
from ..sessions.lifecycle import Lifecycle
from ..sessions.record import AccountValues, LoadedSession
from ..sessions.repository import SessionRepository
from ..sessions.sweeper import Sweeper
from ..settings import Settings
from ..sign_in.accounts import Account, stored
from ..sign_in.challenges import Challenge, Challenges
from ..sign_in.user import User, derived_user_id
from ..storage.connection import RedisConnection
from ..storage.encryption import KeyRing
from . import schemas

if TYPE_CHECKING:
    from .session_view import SessionView
    from .texts import Language

logger = logging.getLogger(__name__)

EXTENSION = "sessions_core"
SECRET_FILE = "sessions_core_secret_file"  # noqa: S105  # a name
"""The key in `app.extensions` with the path of the secret that was made in development."""
_OWN_PAGE = MenuEntry(_("Session"), "sessions.status", order=10)

P = TypeVar("P", bound=Part)
S = TypeVar("S", bound=schemas.SessionState)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """One object per application."""

    settings: Settings
    connection: RedisConnection
    keys: KeyRing
    repository: SessionRepository
    store: SessionStore
    lifecycle: Lifecycle
    challenges: Challenges
    sweeper: Sweeper
    policy: Policy
    actions: Actions
    requests: KeyRing
    clock: Callable[[], float]
    role_for: Callable[[Account], str] | None
    user_for: Callable[[Account], Any] | None = None
    """Returns the application's own user for an account (`users`)."""
    translate: Callable[[str], str] = str
    """Returns a text in the language of the request, as `WalletSessions` got it; see `web.texts`."""
    parts: dict[str, Part] = field(default_factory=dict)
    """The parts of this application by name."""
    blueprints: set[str] = field(default_factory=lambda: {"sessions", "sessions_json"})
    """The names of this package's blueprints, to which the kernel's rules for its own pages apply."""
    sign_outs: set[str] = field(default_factory=lambda: {"sessions.sign_out_post", "sessions_json.logout"})
    """The endpoints that sign out; parts add theirs. A sign-out that fails must not look like one that worked."""
    _hooks: dict[str, tuple[Callable[..., Any], ...]] = field(default_factory=dict)

    def part(self, kind: type[P]) -> P:
        """Return the instance of a part that is loaded."""
        return cast(P, self.parts[kind.name])

    def hooks(self, name: str) -> tuple[Callable[..., Any], ...]:
        """Return this method of every part that overrides it, in the order in which parts were loaded."""
        found = self._hooks.get(name)
        if found is None:
            own = (each for each in self.parts.values() if getattr(type(each), name) is not getattr(Part, name))
            found = self._hooks[name] = tuple(getattr(each, name) for each in own)
        return found

    def slots(self, name: str) -> list[str]:
        """Return the templates that parts have for a slot of the kernel's pages."""
        return [each.slots[name] for each in self.parts.values() if name in each.slots]

    def signing_words(self, session: SessionView | None) -> str:
        """Return the template with the words for how the account of a session signs."""
        found = (words(session) for words in self.hooks("signing_words")) if session is not None else ()
        return next((each for each in found if each is not None), "sessions/_signing_words.html")

    def wallet_families(self, linking: bool) -> list[str]:
        """Return the families that parts offer on the connect panel beside those of the accepted chains."""
        return [family for offer in self.hooks("wallet_families") for family in offer(linking)]

    def wallet_family(self, session: SessionView) -> str:
        """Return the family of the wallet that signs for a session."""
        found = (name(session) for name in self.hooks("wallet_family"))
        return next((family for family in found if family), session.chain.namespace)

    def language(self) -> Language | None:
        """Return the language of the request, from the first part that knows it."""
        found = (choose() for choose in self.hooks("language"))
        return next((each for each in found if each is not None), None)

    def menu(self) -> list[MenuEntry]:
        """Return the links of the header, in order."""
        entries = (entry for each in self.parts.values() for entry in each.menu)
        return sorted((_OWN_PAGE, *entries), key=lambda entry: entry.order)

    def can_raise(self, error: type[SessionsError]) -> bool:
        """Whether an error is the kernel's, the application's, or of a part that is loaded."""
        of_part = error.__module__.startswith(f"{folder.__name__}.")
        return not of_part or any(error in each.errors for each in self.parts.values())

    def open_token(self, token: str) -> TokenClaims | None:
        """Return the session that a bearer token names, from the first part that knows the token."""
        found = (read(token) for read in self.hooks("read_token"))
        return next((claims for claims in found if claims is not None), None)

    def install(self, app: Flask) -> None:
        """Keep the services with the application."""
        app.extensions[EXTENSION] = self
        self.store.privilege = self.privileges_of

    def account_status(self, account: str, values: AccountValues) -> AccountStatus:
        """Return role and verification of an account (CAIP-10), decided again on each request.

        The role comes from the application's `role_for`, else from a part. If `role_for` fails the role is empty,
        which permits nothing: users stay signed in, and can sign out.
        """
        status = _ORDINARY
        for answer in self.hooks("account_status"):
            status = answer(account, values) or status
        if self.role_for is None:
            return status
        try:
            return replace(status, role=self.role_for(stored(account)))
        except SessionsError:
            raise
        except Exception:
            logger.exception("role_for failed; %s has no role until it works again", account)
            return replace(status, role="")

    def user(self, account: Account, values: AccountValues) -> User:
        """Return the user behind an account: the account alone, unless a part knows more."""
        found = (answer(account, values) for answer in self.hooks("user"))
        return next((each for each in found if each is not None), None) or User(
            derived_user_id(str(account)), (account,)
        )

    def privileges_of(self, live: LoadedSession) -> str | None:
        """Return the fingerprint of what the session's account may do now, as `privileges` does."""
        account, values = live.record.account, live.account_values
        return self.privileges(account, values, self.account_status(account, values))

    def privileges(self, account: str, values: AccountValues, status: AccountStatus) -> str | None:
        """Return a fingerprint of the account's privileges. When it changes, the session id is rotated.

        `None` if the role lookup failed; empty for an ordinary member.
        """
        if not status.role:
            return None
        words = [] if status.role == MEMBER else [status.role]
        for of_part in self.hooks("privileges"):
            if word := of_part(account, values):
                words.append(word)
        return "|".join(words)

    def extended(self, base: type[S]) -> type[S]:
        """Return the Struct of a session's state with what the parts of this application add to it."""
        additions = tuple(each.state for each in self.parts.values() if each.state is not None)
        return cast(type[S], schemas.extended(base, additions))

    def challenge_for(self, purpose: str, account: str) -> Challenge:
        """Return the text that an account (CAIP-10) signs for a purpose of a part.

        Raises `BodyMalformed` for a purpose that no part has.
        """
        for each in self.parts.values():
            if purpose in each.purposes:
                return each.issue_challenge(purpose, account)
        raise BodyMalformed("no such purpose")


_ORDINARY = AccountStatus()


def current_services() -> Services:
    """Return the services of the current application."""
    return cast(Services, current_app.extensions[EXTENSION])
