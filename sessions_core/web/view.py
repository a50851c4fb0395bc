"""A session as views, templates and the JSON service see it: ids and secrets left out, clocks as times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from .. import policy
from ..accounts import Account, Chain, Network, stored
from ..records import Live
from .services import Services


class SessionView:
    """What may be shown of a live session. All times are aware, in UTC, by Redis's clock."""

    def __init__(self, live: Live, services: Services) -> None:
        self.live = live
        self._services = services

    @property
    def handle(self) -> str:
        """The public name of the session, `sess_…`; unrelated to its id."""
        return self.live.record.handle

    @cached_property
    def account(self) -> Account:
        """The CAIP-10 account that signed."""
        return stored(self.live.record.account)

    @property
    def address(self) -> str:
        """The address of the account."""
        return self.account.address

    @property
    def short_address(self) -> str:
        """The address as people compare it."""
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
        """The session type."""
        return self.live.record.session_type

    @cached_property
    def role(self) -> str:
        """The role of the account, asked anew on each request."""
        return self._services.role_for(self.account)

    @property
    def wallet(self) -> str:
        """The wallet's own name for itself; for display only, any page script can claim it."""
        return self.live.record.wallet

    @cached_property
    def permissions(self) -> tuple[policy.Decision, ...]:
        """Every permission with the decision on it."""
        return policy.decisions(self._services.session_type, self.network)

    @property
    def remember(self) -> bool:
        """Whether the cookie outlives the browser."""
        return self.live.record.remember

    @property
    def now(self) -> datetime:
        """When Redis answered."""
        return _time(self.live.now)

    @property
    def created_at(self) -> datetime:
        """When the person signed in."""
        return _time(self.live.record.created_at)

    @property
    def last_active(self) -> datetime:
        """When activity was last written."""
        return _time(self.live.active)

    @property
    def idle_expires_at(self) -> datetime:
        """When the session ends without activity."""
        return _time(self.live.idle_expires_at)

    @property
    def absolute_expires_at(self) -> datetime:
        """When the session ends in any case."""
        return _time(self.live.ends)

    @property
    def idle_seconds(self) -> int:
        """The length of the idle clock."""
        return self.live.idle // 1000

    @property
    def absolute_seconds(self) -> int:
        """The length of the absolute clock."""
        return (self.live.ends - self.live.record.created_at) // 1000

    @property
    def warn_seconds(self) -> int:
        """How long before the idle end to warn."""
        return self._services.settings.warn_seconds

    @property
    def absolute_warn_seconds(self) -> int:
        """How long before the absolute end to warn."""
        return self._services.settings.absolute_warn_seconds

    def as_json(self) -> dict[str, Any]:
        """Return what `validate` and `keep-alive` answer."""
        return {
            "valid": True,
            "session_id": self.handle,
            "account": str(self.account),
            "session_type": self.type,
            "network": self.network,
            "role": self.role,
            "permissions": [decision.permission for decision in self.permissions if decision.allowed],
            "now": iso(self.now),
            "expires_at": iso(self.idle_expires_at),
            "time_remaining": max(0, self.live.idle_expires_at - self.live.now) // 1000,
            "idle_expires_at": iso(self.idle_expires_at),
            "absolute_expires_at": iso(self.absolute_expires_at),
            "warn_seconds": self.warn_seconds,
            "absolute_warn_seconds": self.absolute_warn_seconds,
        }


def iso(moment: datetime) -> str:
    """Return a time as `2026-01-31T12:00:00.000Z` (RFC 3339)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def clock(moment: datetime) -> str:
    """Return the time of day people read without script: `14:32 UTC`."""
    return moment.astimezone(UTC).strftime("%H:%M UTC")


def duration(seconds: float) -> str:
    """Return a length of time in the largest unit that divides it: `30 minutes`, `12 hours`, `1 day`."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = int(seconds // length)
            return f"{count} {unit}" + ("" if count == 1 else "s")
    return f"{int(seconds)} seconds"


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
