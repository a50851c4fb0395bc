"""A session for views, templates and the JSON service: without ids and secrets, with clocks as times."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from werkzeug.routing import BaseConverter

from ..access import policy
from ..errors import AccountMalformed
from ..sessions.record import LoadedSession
from ..sign_in.accounts import Account, Chain, Network, parse, stored
from ..sign_in.user import User
from .schemas import SessionState
from .services import Services, current_services
from .texts import gettext, language, ngettext

# With its own quotation marks, a name could end the ones around it.
_SIMPLE_QUOTES = dict.fromkeys(map(ord, '"“”„‟«»\u2039\u203a\uff02'), "'")


class SessionView:
    """The public facts of a living session. All times are aware, in UTC, by Redis's clock."""

    def __init__(self, live: LoadedSession, services: Services) -> None:
        self.live = live
        self._services = services

    @property
    def name(self) -> str:
        """The name of the session on pages."""
        return gettext("%(type)s session", type=gettext(self.type))

    @property
    def handle(self) -> str:
        """The public name of the session, `sess_…`; unrelated to its id."""
        return self.live.record.handle

    @cached_property
    def account(self) -> Account:
        """The CAIP-10 account that signed."""
        return stored(self.live.record.account)

    @property
    def account_tag(self) -> str:
        """A value for pages to keep in the browser and notice another account. It reveals neither account nor id."""
        account = self.live.record.account.encode()
        return hashlib.blake2b(account, digest_size=9, person=b"browser-account").hexdigest()

    @cached_property
    def user(self) -> User:
        """The user behind the account, with all their accounts; looked up when it is asked for."""
        return self._services.user(self.account, self.live.account_values)

    @property
    def address(self) -> str:
        """The address of the account."""
        return self.account.address

    @property
    def short_address(self) -> str:
        """The address, shortened for users to compare."""
        return self.account.short_address

    @property
    def chain(self) -> Chain:
        """The chain that was signed for."""
        return self.account.chain

    @property
    def chain_id(self) -> str:
        """The CAIP-2 id of the chain that was signed for."""
        return self.chain.id

    @property
    def chain_name(self) -> str:
        """The name of the chain that was signed for."""
        return self.chain.name

    @property
    def network(self) -> Network:
        """`mainnet`, `testnet`, or `unsupported` if the site no longer accepts the chain."""
        return self.chain.network if self.chain.id in self._services.settings.chains else "unsupported"

    @property
    def type(self) -> str:
        """The session type's name."""
        return self.live.record.session_type

    @property
    def session_type(self) -> policy.SessionType:
        """The session type, as the policy has it now."""
        return self._services.policy.type_of(self.type)

    @cached_property
    def account_status(self) -> policy.AccountStatus:
        """Role and verification of the account, decided again on each request."""
        return self._services.account_status(self.live.record.account, self.live.account_values)

    @property
    def verified(self) -> bool:
        """Whether the account is verified now."""
        return self.account_status.verified

    @property
    def account_role(self) -> str:
        """The role of the account."""
        return self.account_status.role

    @property
    def role(self) -> str:
        """The role of the session: that of its account. It is empty for a session with a scope, unless its client
        asked for the role by name, or it is `member`, which every account has.
        """
        narrowed, role = self.live.record.narrowed, self.account_role
        return role if narrowed is None or role == policy.MEMBER or policy.role_right(role) in narrowed else ""

    @property
    def wallet(self) -> str:
        """The wallet's own name for itself; for display only, any page script can claim it."""
        return self.live.record.wallet

    @cached_property
    def policy_context(self) -> policy.PolicyContext:
        """The facts that permissions are decided on."""
        narrowed = self.live.record.narrowed
        return policy.PolicyContext(
            account=self.account,
            session_type=self.session_type,
            network=self.network,
            role=self.account_role,
            verified=self.verified,
            scope=None if narrowed is None else frozenset(narrowed),
        )

    @cached_property
    def permissions(self) -> tuple[policy.Decision, ...]:
        """Every permission with the decision on it."""
        return self._services.policy.decisions(self.policy_context)

    @property
    def allowed(self) -> list[str]:
        """The permissions that the session has now."""
        return [decision.permission for decision in self.permissions if decision.allowed]

    def may(self, permission: str) -> policy.Decision:
        """Decide one permission."""
        return self._services.policy.decide(permission, self.policy_context)

    def fresh(self, seconds: int, action: str) -> bool:
        """Whether the wallet signed in, or signed for exactly this action, within the last `seconds`."""
        record = self.live.record
        # With 0 seconds no signature is fresh, not even in the same millisecond or after a clock was set back.
        age = self.live.now - max(record.signed_at, record.confirmed.get(action, 0))
        return seconds > 0 and age <= seconds * 1000

    @property
    def signed_at(self) -> datetime | None:
        """When the wallet last signed for this session; `None` if it has not."""
        record = self.live.record
        signed_at = max(record.signed_at, *record.confirmed.values(), 0)
        return moment(signed_at) if signed_at else None

    @property
    def remember(self) -> bool:
        """Whether the cookie outlives the browser."""
        return self.live.record.remember

    @property
    def now(self) -> datetime:
        """When Redis answered."""
        return moment(self.live.now)

    @property
    def created_at(self) -> datetime:
        """When the user signed in."""
        return moment(self.live.record.created_at)

    @property
    def last_active(self) -> datetime:
        """When activity was last written."""
        return moment(self.live.active)

    @property
    def idle_expires_at(self) -> datetime:
        """When the session ends without activity."""
        return moment(self.live.idle_expires_at)

    @property
    def absolute_expires_at(self) -> datetime:
        """When the session ends even if it is in use."""
        return moment(self.live.absolute_expires_at)

    @property
    def idle_seconds(self) -> int:
        """The length of the idle clock."""
        return self.live.idle_timeout_ms // 1000

    @property
    def absolute_seconds(self) -> int:
        """The length of the absolute clock."""
        record = self.live.record
        return (self.live.absolute_expires_at - (record.restarted_at or record.created_at)) // 1000

    @property
    def warn_seconds(self) -> int:
        """How long before the idle end to warn."""
        return self._services.settings.warn_seconds

    @property
    def absolute_warn_seconds(self) -> int:
        """How long before the absolute end to warn."""
        return self._services.settings.absolute_warn_seconds

    def as_row(self) -> dict[str, Any]:
        """Return the session as a row of a list, for JSON."""
        return {
            "session_id": self.handle,
            "session_type": self.type,
            "account": str(self.account),
            "network": self.network,
            "wallet": self.wallet,
            "created_at": iso(self.created_at),
            "last_activity": iso(self.last_active),
            "expires_at": iso(self.idle_expires_at),
            "absolute_expires_at": iso(self.absolute_expires_at),
        }

    def as_state(self) -> SessionState:
        """Return the answer of `validate` and `keep-alive`, without the fields for cookies."""
        of_parts = {
            name: value for state in self._services.hooks("session_state") for name, value in state(self).items()
        }
        return self._services.extended(SessionState)(
            valid=True,
            session_id=self.handle,
            user_id=self.user.id,
            account=str(self.account),
            accounts=[str(account) for account in self.user.accounts],
            session_type=self.type,
            network=self.network,
            role=self.role,
            permissions=self.allowed,
            now=iso(self.now),
            expires_at=iso(self.idle_expires_at),
            time_remaining=max(0, self.live.idle_expires_at - self.live.now) // 1000,
            idle_expires_at=iso(self.idle_expires_at),
            absolute_expires_at=iso(self.absolute_expires_at),
            warn_seconds=self.warn_seconds,
            absolute_warn_seconds=self.absolute_warn_seconds,
            **of_parts,
        )


class HandleConverter(BaseConverter):
    """Handles in addresses. A malformed handle is a 404, like an unknown one."""

    regex = r"[a-z]{1,16}_[A-Za-z0-9_-]{16}"


def described(live: LoadedSession) -> SessionView:
    """Return the view of a session, with the facts that parts add."""
    services = current_services()
    found = (describe(live) for describe in services.hooks("describe_session"))
    return next((each for each in found if each is not None), None) or SessionView(live, services)


def sessions_of(*accounts: Account | str, current: str = "") -> list[SessionView]:
    """Return the living sessions of accounts: the one with the handle `current` first, then by last activity."""
    views = [described(live) for account in accounts for live in current_services().repository.living(str(account))]
    return sorted(views, key=lambda view: (view.handle != current, -view.live.active))


def iso(moment: datetime) -> str:
    """Return a time as `2026-01-31T12:00:00.000Z` (RFC 3339)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def clock(moment: datetime) -> str:
    """Return the time of day for pages without script: `14:32 UTC`."""
    return gettext("%(time)s UTC", time=language().moment(moment.astimezone(UTC), "Hm"))


def second(time: datetime) -> str:
    """Return a time to the second, as `2026-01-31 12:00:00Z`."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ")


def duration(seconds: float) -> str:
    """Return a length of time in the largest unit that divides it: `30 minutes`, `12 hours`, `1 day`."""
    whole = int(seconds)
    if seconds >= 86_400 and seconds % 86_400 == 0:
        return ngettext("%(num)s day", "%(num)s days", whole // 86_400)
    if seconds >= 3_600 and seconds % 3_600 == 0:
        return ngettext("%(num)s hour", "%(num)s hours", whole // 3_600)
    if seconds >= 60 and seconds % 60 == 0:
        return ngettext("%(num)s minute", "%(num)s minutes", whole // 60)
    return ngettext("%(num)s second", "%(num)s seconds", whole)


def ago(moment: datetime, now: datetime) -> str:
    """Return how long before `now` a moment was: `5 minutes ago`, `just now`."""
    past = now - moment
    return gettext("just now") if past.total_seconds() < 60 else language().ago(past)


def account(text: str) -> Account | None:
    """Return the account that a text names, for display; `None` if it names none."""
    try:
        return parse(text)
    except AccountMalformed:
        return None


def quoted(name: str) -> str:
    """Return the wallet's own name in quotation marks, so that it can't pass for a sentence of the site."""
    return f"“{name.translate(_SIMPLE_QUOTES)}”" if name else ""


def moment(milliseconds: int) -> datetime:
    """Return milliseconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
