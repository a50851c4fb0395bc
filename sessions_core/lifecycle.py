"""The life of a session: start, touch, renew, rotate, revoke.

Each publishes what happened; rotating and revoking do so in `records`, since `flask.session` can do both as well.
"""

from __future__ import annotations

import secrets
from typing import Any

from . import events
from .accounts import Account
from .policy import SessionType
from .records import CSRF_KEY, Ended, Live, Record, Records

HANDLE_PREFIX = {"standard": "sess_"}


class Lifecycle:
    """Everything that changes whether, and until when, a session is alive.

    All methods raise `StoreUnavailable` when Redis does not answer; then nothing has changed, or what has is
    unreachable.
    """

    def __init__(self, records: Records) -> None:
        self._records = records

    def start(
        self,
        account: Account,
        session_type: SessionType,
        *,
        wallet: str = "",
        remember: bool = False,
        data: dict[str, Any] | None = None,
        replacing: Live | None = None,
    ) -> Live:
        """Start a session for an account that has just proven itself: new id, new handle, new CSRF secret, both
        clocks at zero.

        `wallet` is the wallet's display name, `data` what views see in `flask.session`, `replacing` a session of the
        same browser that ends now. The handle is random and unrelated to the id, so it can be shown and logged.
        """
        record = Record(
            handle=HANDLE_PREFIX[session_type.name] + secrets.token_urlsafe(12),
            account=str(account),
            session_type=session_type.name,
            wallet=wallet,
            remember=remember,
            data={**(data or {}), CSRF_KEY: secrets.token_hex(32)},
        )
        live = self._records.create(record, session_type.idle_seconds, session_type.absolute_seconds)
        if replacing is not None:
            # After creating: if Redis fails in between, the person keeps the session they had, and nobody knows the
            # new id.
            self.revoke(replacing, "replaced")
        events.publish(
            events.SessionCreated(handle=record.handle, account=record.account, session_type=record.session_type)
        )
        return live

    def touch(self, session_id: str) -> Live | Ended:
        """Read a session because of activity: its idle clock starts again, written at most once a minute."""
        return self._records.load(session_id, "due")

    def renew(self, live: Live) -> Live | Ended:
        """Start the idle clock again because the person asked. The absolute end never moves."""
        renewed = self._records.load(live.id, "now")
        if isinstance(renewed, Live):
            events.publish(events.SessionRenewed(handle=renewed.record.handle, account=renewed.record.account))
        return renewed

    def rotate(self, live: Live) -> Live | None:
        """Move a session to a new id with a new CSRF secret; `None` if it ended or changed meanwhile."""
        return self._records.rotate(live)

    def revoke(self, live: Live, reason: str) -> bool:
        """End a session for `reason`; no request in flight can bring it back. Return whether it was still alive."""
        return self._records.revoke(live, reason)

    def revoke_moved(self, session_id: str, reason: str) -> bool:
        """End the session that had this id before it was rotated. Return whether it was still alive."""
        return self._records.revoke_moved(session_id, reason)

    def revoke_account(self, account: Account) -> None:
        """End every session of an account in one write, those being signed in right now included."""
        self._records.revoke_account(str(account))
        events.publish(events.SessionsRevoked(account=str(account)))

    def revoke_everybody(self) -> None:
        """End every session there is in one write."""
        self._records.revoke_everybody()
        events.publish(events.SessionsRevoked(account=None))
