"""The life of a session: start, touch, renew, rotate, revoke.

Each publishes what happened; rotating and revoking do so in `records`, since `flask.session` can do both as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, ParamSpec

from .. import events
from ..access.policy import Narrowed, SessionType
from ..errors import NotFound, StoreUnavailable
from ..sign_in.accounts import Account, stored
from .repository import CSRF_KEY, Ended, Family, Live, Proof, Record, Records, browser_digest
from .user_agent import Client

P = ParamSpec("P")


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
        narrowed: Narrowed | None = None,
        privilege: str = "",
        client: Client | None = None,
        proof: Proof | None = None,
        pregenerated: bool = False,
        browser: str | None = None,
        family: Family | None = None,
        prepare: Callable[[Record], None] | None = None,
    ) -> Live:
        """Start a session for an account that has just proven itself: new id, new handle, new CSRF secret, both
        clocks at zero.

        `wallet` is the wallet's display name, `data` what views see in `flask.session`, `replacing` a session of the
        same browser that ends now. `narrowed` holds it to less than its type grants, `privilege` is what it is made
        under, `client` where it is used from, `proof` what a contract accepted, `family` its refresh tokens;
        `prepare` lets parts add to the record before it is stored; `browser` is that browser's cookie, `pregenerated`
        says that the wallet lives there. The handle is random and unrelated to the id, so it can be shown and logged.
        """
        client = client or Client()
        record = Record(
            handle=session_type.handle_prefix + secrets.token_urlsafe(12),
            account=str(account),
            session_type=session_type.name,
            wallet=wallet,
            remember=remember,
            data={**(data or {}), CSRF_KEY: secrets.token_hex(32)},
            privilege=privilege,
            narrowed=narrowed.permissions if narrowed else None,
            device=client.device,
            agent=client.agent,
            ip=client.ip,
            proof=proof,
            pregenerated=pregenerated,
            browser=browser_digest(browser),
            family=family,
        )
        if prepare is not None:
            prepare(record)
        absolute = narrowed.absolute_seconds if narrowed else session_type.absolute_seconds
        live = self._records.create(record, min(session_type.idle_seconds, absolute), absolute)
        if replacing is not None:
            # After creating: if Redis fails in between, the person keeps the session they had, and nobody knows the
            # new id.
            self._replace(replacing, live)
        events.publish(
            events.SessionCreated(handle=record.handle, account=record.account, session_type=record.session_type)
        )
        if replacing is not None and replacing.record.account not in ("", record.account):
            _publish_change(account, replacing.record.account)
        return live

    def _replace(self, former: Live, live: Live) -> None:
        if former.record.account:
            _twice(self.revoke, former, "replaced")
            return
        # What a visitor collected goes with them, and so does what another of their requests stores meanwhile.
        while not _twice(self._records.revoke_visitor, former):
            found = self._records.again(former)
            if isinstance(found, Ended):
                return
            former = found
            live.record.data = former.record.data | {CSRF_KEY: live.record.data[CSRF_KEY]}
            self._records.save(live)

    def touch(self, session_id: str) -> Live | Ended:
        """Read a session because of activity: its idle clock starts again, written at most once a minute."""
        return self._records.load(session_id, "due")

    def renew(self, live: Live) -> Live | Ended:
        """Start the idle clock again because the person asked. The absolute end never moves."""
        renewed = self._records.again(live, "now")
        if isinstance(renewed, Live):
            events.publish(events.SessionRenewed(handle=renewed.record.handle, account=renewed.record.account))
        return renewed

    def rotate(self, live: Live) -> Live | None:
        """Move a session to a new id with a new CSRF secret; `None` if it ended or changed meanwhile."""
        return self._records.rotate(live)

    def revoke(self, live: Live, reason: str) -> bool:
        """End a session for `reason`; no request in flight can bring it back. Return whether it was still alive."""
        return self._records.revoke(live, reason)

    def revoke_former(self, session_id: str, browser: str | None, reason: str) -> bool:
        """End the session that had this id before it got a new one, for the browser that started it. Return whether
        it has ended.
        """
        return self._records.revoke_former(session_id, browser, reason)

    def revoke_handle(self, account: Account, handle: str, reason: str = "revoked") -> bool:
        """End the session of an account that has this handle; what has ended already is ended.

        Raises `NotFound` for a handle that is not this account's, be it another's or nobody's.
        """
        alive = self._records.revoke_handle(str(account), handle, reason)
        if alive is None:
            raise NotFound("no session of this account")
        return alive

    def revoke_account(self, account: Account, reason: str = "everywhere") -> int:
        """End every session of an account in one write, those being signed in right now included; return how many
        there were.
        """
        ended = self._records.revoke_account(str(account), reason)
        events.publish(events.SessionsRevoked(account=str(account), scope="all"))
        return ended

    def revoke_everybody(self) -> None:
        """End every session there is in one write."""
        self._records.revoke_everybody()
        events.publish(events.SessionsRevoked(account=None, scope="everybody"))


def _twice(end: Callable[P, bool], *args: P.args, **kwargs: P.kwargs) -> bool:
    """End a session that another takes over from, and do so once more if the answer is lost.

    Redis may have ended it by then. A sign-in that gave up would leave the browser with neither of the two, and lose
    what a visitor collected.
    """
    try:
        return end(*args, **kwargs)
    except StoreUnavailable:
        return end(*args, **kwargs)


def _publish_change(account: Account, before: str) -> None:
    if account.address == stored(before).address:
        events.publish(events.NetworkChanged(account=str(account), before=before))
    else:
        events.publish(events.WalletChanged(account=str(account), before=before))
