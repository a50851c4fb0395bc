"""What `extension` built for this application, where guards, pages and JSON find it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from flask import Flask, current_app

from .. import parts as folder
from ..access.actions import Actions
from ..access.policy import Policy
from ..errors import SessionsError
from ..part import MenuEntry, Part
from ..parts.contract_wallets.contracts import Contracts
from ..parts.devices.recent_sign_ins import RecentSignIns
from ..parts.linked_wallets.linked_accounts import People
from ..parts.roles.account_status import MEMBER, Standing
from ..parts.roles.roles import Directory
from ..parts.trial_wallets.key_shares import Shares
from ..sessions.flask_session import SessionStore, TokenClaims
from ..sessions.lifecycle import Lifecycle
from ..sessions.record import AccountValues, LoadedSession
from ..sessions.repository import SessionRepository
from ..sessions.sweeper import Sweeper
from ..settings import Settings
from ..sign_in.accounts import Account, stored
from ..sign_in.challenges import Challenges
from ..storage.connection import RedisConnection
from ..storage.encryption import KeyRing

logger = logging.getLogger(__name__)

EXTENSION = "wallet_sessions"

P = TypeVar("P", bound=Part)


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
    contracts: Contracts
    directory: Directory
    people: People
    recent_sign_ins: RecentSignIns
    sweeper: Sweeper
    shares: Shares
    policy: Policy
    actions: Actions
    requests: KeyRing
    clock: Callable[[], float]
    role_for: Callable[[Account], str] | None
    user_for: Callable[[Account], Any] | None = None
    """Returns the application's own user for an account (`users`)."""
    translate: Callable[[str], str] = str
    """Translates a sentence into the language of the request."""
    parts: dict[str, Part] = field(default_factory=dict)
    """The parts of this application by name."""
    blueprints: set[str] = field(default_factory=lambda: {"sessions", "sessions_json"})
    """The names of all our blueprints: what the kernel's rules for its own pages hold for."""
    _hooks: dict[str, tuple[Callable[..., Any], ...]] = field(default_factory=dict)

    def part(self, kind: type[P]) -> P:
        """Return the instance of a part that is loaded."""
        return cast(P, self.parts[kind.name])

    def hooks(self, name: str) -> tuple[Callable[..., Any], ...]:
        """Return this method of every part that has one of its own, in the order in which parts were loaded."""
        found = self._hooks.get(name)
        if found is None:
            own = (each for each in self.parts.values() if getattr(type(each), name) is not getattr(Part, name))
            found = self._hooks[name] = tuple(getattr(each, name) for each in own)
        return found

    def slots(self, name: str) -> list[str]:
        """Return the templates that parts have for a slot of the kernel's pages."""
        return [each.slots[name] for each in self.parts.values() if name in each.slots]

    def menu(self) -> list[MenuEntry]:
        """Return the links of the header, in order."""
        return sorted((entry for each in self.parts.values() for entry in each.menu), key=lambda entry: entry.order)

    def can_raise(self, error: type[SessionsError]) -> bool:
        """Whether an error is the kernel's, the application's, or of a part that is loaded."""
        of_part = error.__module__.startswith(f"{folder.__name__}.")
        return not of_part or any(error in each.errors for each in self.parts.values())

    def open_token(self, token: str) -> TokenClaims | None:
        """Return which session a bearer token stands for, by the first part that knows it."""
        found = (read(token) for read in self.hooks("read_token"))
        return next((claims for claims in found if claims is not None), None)

    def install(self, app: Flask) -> None:
        """Keep the services with the application."""
        app.extensions[EXTENSION] = self
        self.store.privilege = self.privilege

    def role(self, account: str, standing: Standing) -> str:
        """Return the role of an account (CAIP-10): from the application's `role_for`, or from the directory.

        If `role_for` fails the role is empty, which permits nothing: people stay signed in, and can sign out.
        """
        if self.role_for is None:
            return standing.role
        try:
            return self.role_for(stored(account))
        except SessionsError:
            raise
        except Exception:
            logger.exception("role_for failed; %s has no role until it works again", account)
            return ""

    def privilege(self, live: LoadedSession) -> str | None:
        """Return `privilege_of` the account of a session, as it was read with it."""
        return self.privilege_of(live.record.account, live.account_values, live.now)

    def privilege_of(self, account: str, values: AccountValues, now: int) -> str | None:
        """Return role, verification and linked wallets as one word, or `None` if the role is not known: when it
        changes, so does the id of the session. Empty for an ordinary member without. `now` is in milliseconds since
        the epoch.
        """
        standing, pointer = self.directory.standing_of(values), self.people.pointer_of(values)
        role = self.role(account, standing)
        if not role:
            return None
        level = standing.verification_level if standing.verified(now) else ""
        word = "" if (role, level) == (MEMBER, "") else f"{role}|{level}"
        return f"{word}|{pointer.person}.{pointer.revision}" if pointer.person else word


def services() -> Services:
    """Return the services of the current application."""
    return cast(Services, current_app.extensions[EXTENSION])
