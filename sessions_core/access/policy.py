"""Decides permissions from session types, roles and networks. It never writes.

Permissions are decided on every request from the type, the role, and the network that was signed for. None is stored,
so a change here, or of a role, applies from the next request on. The scope that a client asked for is stored; it can
only take permissions away.

To add a type of your own:

    kiosk = SessionType("kiosk", "kiosk_", idle_seconds=300, absolute_seconds=3600, permissions=("read:profile",))
    WalletSessions(app, session_types=[kiosk])
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from ..errors import Misconfigured, PermissionDenied
from ..settings import LONGEST, SHORTEST, Settings
from ..sign_in.accounts import Account, Network

# The permissions that each network gives. A testnet signature must never move real money.
NETWORK_PERMISSIONS: dict[Network, tuple[str, ...]] = {
    "mainnet": ("transact", "sign"),
    "testnet": ("test-only",),
    "unsupported": (),
}
ALL_NETWORK_PERMISSIONS = ("transact", "sign", "test-only")

# The account rights that a session with a scope has only if its client asked for them by name. Every other session
# has them.
OWN_SESSIONS = "own:sessions"
OWN_WALLETS = "own:wallets"
OWN_RIGHTS = (OWN_SESSIONS, OWN_WALLETS)

# The permissions that each role keeps; `None` keeps all. A role takes permissions away, and opens routes that ask for
# it by name (`@requires(role="admin")`). A role that is not in the table keeps none: a misspelt role must not be a
# free pass.
MEMBER = "member"
ROLES: dict[str, tuple[str, ...] | None] = {
    MEMBER: None,
    "admin": None,
    "restricted": ("read:profile", "read:public_content", "test-only"),
}


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """The role of an account on this site, and whether it is verified now.

    Without a decision an account is an ordinary member.
    """

    role: str = MEMBER
    verified: bool = False


@dataclass(frozen=True, slots=True)
class SessionType:
    """A kind of session: how its handles begin, its two clocks in seconds, and the permissions the kind grants.

    `verified`: only for accounts that an administrator has verified. `by_wallet`: whether a wallet's signature can
    start one. Each use of a permission in `fresh` asks for a signature of the last `SESSIONS_CORE_FRESH_SECONDS`.
    """

    name: str
    handle_prefix: str
    idle_seconds: int
    absolute_seconds: int
    permissions: tuple[str, ...]
    verified: bool = False
    by_wallet: bool = True
    fresh: tuple[str, ...] = ()


def session_types(settings: Settings) -> tuple[SessionType, ...]:
    """Return the kernel's types; the first is the default of a sign-in. Parts add theirs."""
    return (
        SessionType(
            "standard",
            "sess_",
            settings.idle_seconds,
            settings.absolute_seconds,
            ("read:profile", "write:messages", "join:groups", "book:sessions"),
        ),
        SessionType(
            "anonymous",
            "anon_",
            settings.anonymous_idle_seconds,
            settings.anonymous_absolute_seconds,
            ("read:public_content", "join:anonymous_groups", "use:ai_bots"),
            # It takes a proof that does not name the account; a wallet's signature would.
            by_wallet=False,
        ),
    )


@dataclass(frozen=True, slots=True)
class PolicyContext:
    """The facts that permissions are decided on, collected for each request.

    `verified` says whether the account is verified now. `scope` has the permissions that the client limited its
    session to, or `None` if it did not.
    """

    account: Account | None
    session_type: SessionType
    network: Network
    role: str
    verified: bool = False
    scope: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """The session may do this."""

    permission: str

    allowed = True
    reason = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The session may not do this; `reason` says why.

    `network_` and the network that was signed for, `type`, `verification` (it has lapsed), `role`, `narrowed` (the
    client asked for less), or `policy` (the application's own `permissions_for`).
    """

    permission: str
    reason: str

    allowed = False


Decision = Allowed | Denied
PermissionsFor = Callable[[PolicyContext], Iterable[str]]


class Policy:
    """All types, all roles, and what they permit.

    `types` are added to the built-in ones, or replace those of the same name; so do `roles`.
    `permissions_for(context)` replaces the rule for everything but the network's permissions, which only a signature
    for that network gives.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        types: Iterable[SessionType] = (),
        roles: Mapping[str, tuple[str, ...] | None] | None = None,
        permissions_for: PermissionsFor | None = None,
    ) -> None:
        self.types = {each.name: each for each in (*session_types(settings), *types)}
        self.roles = {**ROLES, **(roles or {})}
        self._settings = settings
        self._permissions_for = permissions_for or self.permissions_for
        for each in self.types.values():
            _refuse_unsafe(each, settings)

    def add_types(self, types: Iterable[SessionType]) -> None:
        """Add the types of a part, except those that the application has replaced."""
        for each in types:
            _refuse_unsafe(each, self._settings)
            self.types.setdefault(each.name, each)

    @property
    def standard(self) -> SessionType:
        """The type of a sign-in that asks for none."""
        return next(iter(self.types.values()))

    def type_of(self, name: str) -> SessionType:
        """Return the type with this name. A type that the site no longer has permits nothing."""
        return self.types.get(name) or SessionType(name, "sess_", 0, 0, ())

    def type_of_handle(self, handle: str) -> SessionType | None:
        """Return the type whose prefix the handle has, or `None`."""
        return next((each for each in self.types.values() if handle.startswith(each.handle_prefix)), None)

    def choose(self, name: str, verified: bool) -> SessionType:
        """Return the type that a wallet's sign-in asked for; an empty name asks for the standard one.

        Raises `PermissionDenied` rather than start a session with fewer rights than the user expects.
        """
        chosen = self.types.get(name) if name else self.standard
        if chosen is None or not chosen.by_wallet:
            raise PermissionDenied(name, kind="session_type", reason="session_type")
        if chosen.verified and not verified:
            raise PermissionDenied(name, kind="session_type", reason="verification")
        return chosen

    def permissions_for(self, context: PolicyContext) -> Iterable[str]:
        """Return the permissions that type, network and role give."""
        names = (*NETWORK_PERMISSIONS[context.network], *context.session_type.permissions)
        return (name for name in names if self._obstacle(name, context) is None)

    def decide(self, permission: str, context: PolicyContext) -> Decision:
        """Decide one permission."""
        granted = () if _is_reserved(permission) else self._permissions_for(context)
        return self._decide(permission, context, frozenset(granted))

    def decisions(self, context: PolicyContext) -> tuple[Decision, ...]:
        """Decide every permission that a session of this type could have, on any network, and the role and account
        rights in its scope.
        """
        granted = tuple(self._permissions_for(context))
        named = sorted(each for each in context.scope or () if _is_reserved(each))
        names = dict.fromkeys((*ALL_NETWORK_PERMISSIONS, *context.session_type.permissions, *granted, *named))
        return tuple(self._decide(name, context, frozenset(granted)) for name in names)

    def _decide(self, permission: str, context: PolicyContext, granted: Collection[str]) -> Decision:
        if _is_reserved(permission):
            if permission not in OWN_RIGHTS and permission != role_right(context.role):
                return Denied(permission, "role")
            kept = context.scope is None or permission in context.scope
            return Allowed(permission) if kept else Denied(permission, "narrowed")
        obstacle = self._obstacle(permission, context)
        if permission in ALL_NETWORK_PERMISSIONS and obstacle is not None:
            return Denied(permission, obstacle)
        if permission not in granted:
            return Denied(permission, obstacle or "policy")
        if context.scope is not None and permission not in context.scope:
            return Denied(permission, "narrowed")
        return Allowed(permission)

    def _obstacle(self, permission: str, context: PolicyContext) -> str | None:
        if permission in ALL_NETWORK_PERMISSIONS:
            if permission not in NETWORK_PERMISSIONS[context.network]:
                return f"network_{context.network}"
        elif permission not in context.session_type.permissions:
            return "type"
        elif context.session_type.verified and not context.verified:
            return "verification"
        left = self.roles.get(context.role, ())
        return None if left is None or permission in left else "role"


@dataclass(frozen=True, slots=True)
class Scope:
    """The limits of a session: its absolute lifetime in seconds, and its permissions (`None`: all of the type)."""

    absolute_seconds: int
    permissions: tuple[str, ...] | None


def role_right(role: str) -> str:
    """Return the name by which a client asks to keep its role in a scope: `role:admin`."""
    return f"role:{role}"


def _is_reserved(permission: str) -> bool:
    return permission in OWN_RIGHTS or permission.startswith("role:")


def scope_of(
    session_type: SessionType,
    duration: int | None,
    permissions: Iterable[str] | None,
    roles: Iterable[str] = tuple(ROLES),
) -> Scope:
    """Return the limits that a client asked for. What goes beyond its type is dropped without a warning.

    `duration` is in seconds. A session limited to `permissions` has no role and can't manage the account's other
    sessions or wallets, unless `role_right` of one of the `roles` or `OWN_RIGHTS` are among them. The answer says
    what was granted, so a client that asked for more can see it.
    """
    seconds = session_type.absolute_seconds
    if duration is not None:
        seconds = max(SHORTEST, min(duration, seconds))
    known = {*session_type.permissions, *ALL_NETWORK_PERMISSIONS, *OWN_RIGHTS, *map(role_right, roles)}
    return Scope(seconds, None if permissions is None else tuple(sorted(known.intersection(permissions))))


def _refuse_unsafe(session_type: SessionType, settings: Settings) -> None:
    name, idle, absolute = session_type.name, session_type.idle_seconds, session_type.absolute_seconds
    if not SHORTEST <= idle <= absolute <= LONGEST:
        raise Misconfigured(
            f"The session type {name!r} lasts {idle} and {absolute} seconds. Give it an idle time of at least "
            f"{SHORTEST}, an absolute one of at most {LONGEST}, and the idle one not the longer."
        )
    if not (settings.warn_seconds < idle and settings.absolute_warn_seconds < absolute):
        raise Misconfigured(f"The session type {name!r} would be over before its warning. Make its clocks longer.")
    taken = [each for each in session_type.permissions if _is_reserved(each)]
    if taken:
        raise Misconfigured(f"The session type {name!r} gives {taken[0]!r}, which every session has. Rename it.")
    if not re.fullmatch(r"[a-z]{1,16}_", session_type.handle_prefix, re.ASCII):
        raise Misconfigured(
            f"The handles of session type {name!r} must begin with a word of a to z and an underscore."
        )
