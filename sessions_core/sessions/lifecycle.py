"""The life of a session: start, keep alive, rotate, extend, end.

Every start, rotation and end of a session goes through here, and only this module publishes their events. The
repository only stores.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any, ParamSpec

from .. import events
from ..access.policy import Scope, SessionType
from ..errors import NotFound, SessionEndedDuringRequest, StoreUnavailable
from ..sign_in.accounts import Account, stored
from ..storage.encrypted_value import attempts
from .record import (
    CSRF_KEY,
    ROTATED,
    TAG,
    AccountValues,
    EndedSession,
    LoadedSession,
    SessionRecord,
    browser_digest,
    new_csrf,
)
from .repository import Change, Revocation, SessionRepository

P = ParamSpec("P")


class Lifecycle:
    """Starts, extends, rotates and ends sessions.

    All methods raise `StoreUnavailable` when Redis does not answer; then nothing has changed, or the change is
    unreachable.
    """

    def __init__(self, repository: SessionRepository) -> None:
        self._repository = repository

    # -- Starting --------------------------------------------------------------------------------------------

    def start(
        self,
        account: Account,
        session_type: SessionType,
        *,
        wallet: str = "",
        remember: bool = False,
        data: dict[str, Any] | None = None,
        replacing: LoadedSession | None = None,
        scope: Scope | None = None,
        privilege: str = "",
        browser: str | None = None,
        account_values: AccountValues | None = None,
        prepare: Change | None = None,
        event: Callable[..., events.SessionCreated] = events.SessionCreated,
    ) -> LoadedSession:
        """Start a session for an account that has just proven itself: new id, new handle, new CSRF secret, both
        clocks at zero.

        `wallet` is the wallet's display name, `data` the content of `flask.session`, `replacing` a session of the
        same browser that ends now. `scope` limits it to less than its type grants, `privilege` is the account's
        fingerprint, `browser` the browser's cookie, `account_values` the values of the account that were read just
        now. `prepare` lets parts add to the record before it is stored. `event` is what is published. The handle can
        be shown and logged.
        """
        record = SessionRecord(
            handle=self._repository.new_handle(session_type.handle_prefix, str(account)),
            account=str(account),
            session_type=session_type.name,
            wallet=wallet,
            remember=remember,
            data={**(data or {}), CSRF_KEY: new_csrf()},
            privilege=privilege,
            narrowed=scope.permissions if scope else None,
            browser=browser_digest(browser),
        )
        if prepare is not None:
            prepare(record)
        absolute = scope.absolute_seconds if scope else session_type.absolute_seconds
        live = self.create(record, min(session_type.idle_seconds, absolute), absolute, account_values)
        if replacing is not None:
            # After creating: if Redis fails in between, the user keeps the session they had, and no client knows the
            # new id.
            self._replace(replacing, live)
        events.publish(event(handle=record.handle, account=record.account, session_type=record.session_type))
        if replacing is not None and replacing.record.account not in ("", record.account):
            _publish_change(account, replacing.record.account)
        return live

    def create(
        self,
        record: SessionRecord,
        idle_seconds: int,
        absolute_seconds: int,
        account_values: AccountValues | None = None,
    ) -> LoadedSession:
        """Store a record as a new session, such as that of a visitor. If the account has too many sessions, the
        oldest ones end.
        """
        live = self._repository.create(record, idle_seconds, absolute_seconds, account_values)
        for handle in live.displaced:
            events.publish(events.SessionEnded(handle=handle, account=record.account, reason="limit"))
        return live

    def _replace(self, former: LoadedSession, live: LoadedSession) -> None:
        if former.record.account:
            _twice(self.revoke, former, "replaced")
            return
        # A visitor's data moves to the new session, including what another request of the visitor stores meanwhile.
        while not _twice(self._repository.revoke_visitor, former):
            found = self._repository.reload(former)
            if isinstance(found, EndedSession):
                return
            former = found
            live.record.data = former.record.data | {CSRF_KEY: live.record.data[CSRF_KEY]}
            self._repository.save(live)

    # -- Going on --------------------------------------------------------------------------------------------

    def keep_alive(self, live: LoadedSession) -> LoadedSession | EndedSession:
        """Start the idle clock again because the user asked. The absolute end never moves."""
        kept = self._repository.reload(live, "now")
        if isinstance(kept, LoadedSession):
            events.publish(events.SessionRenewed(handle=kept.record.handle, account=kept.record.account))
        return kept

    def rotate(self, live: LoadedSession, change: Change | None = None) -> LoadedSession | EndedSession:
        """Move a session to a new id with a new CSRF secret; the former id is dead at once.

        `change` is made to the record in the same step, and may be called more than once.
        """
        return self._rotate(live, change, 0)

    def extend(self, live: LoadedSession, absolute_seconds: int, change: Change) -> LoadedSession | EndedSession:
        """Extend a session after a signature: both clocks start again, the absolute one with this length, under a new
        id.
        """
        return self._rotate(live, change, absolute_seconds)

    def _rotate(
        self, live: LoadedSession, change: Change | None, restart_seconds: int
    ) -> LoadedSession | EndedSession:
        had_id = bool(live.id)
        for _ in attempts("the record"):
            if had_id and not live.id:
                # Another request has moved it, and this browser may not learn the new id.
                return ROTATED
            moved = self._repository.rotate(live, change, restart_seconds)
            if moved is not None:
                if live.record.account:
                    events.publish(events.SessionRotated(handle=live.record.handle, account=live.record.account))
                return moved
            found = self._repository.reload(live)
            if isinstance(found, EndedSession):
                return found
            live = found
            if change is not None and not restart_seconds:
                wanted = copy(live.record)
                change(wanted)
                if wanted == live.record:
                    return live  # a concurrent request has made the same change
        raise AssertionError  # `attempts` has raised

    # -- Ending ----------------------------------------------------------------------------------------------

    def revoke(self, live: LoadedSession, reason: str) -> bool:
        """End a session for `reason`; no request in flight can bring it back. Return whether it was still alive."""
        done = self._repository.revoke(live, reason)
        return self._ended(done, live.record.handle, live.record.account or None, reason)

    def revoke_handle(self, account: Account | str, handle: str, reason: str = "revoked") -> bool:
        """End the session of an account that has this handle; it may have ended already. Return whether it was still
        alive.

        Raises `NotFound` for a handle of another account, or one that does not exist.
        """
        done = self._repository.revoke_handle(str(account), handle, reason)
        alive = self._ended(done, handle, str(account), reason)
        if done.ended == -1:
            raise NotFound("no session of this account")
        return alive

    def revoke_former(self, session_id: str, browser: str | None, reason: str) -> bool:
        """End the session that had this id before, however long ago, for the browser that started it. Return whether
        it has ended.
        """
        live = self._repository.load_id(session_id, "never")  # its id may be about to change, and be refused for that
        if isinstance(live, EndedSession) and live == ROTATED:
            live = self._repository.load_handle(session_id[:TAG], live.handle, "never")
        if isinstance(live, LoadedSession) and live.record.started_by(browser):
            self.revoke(live, reason)
            return True
        return isinstance(live, EndedSession)

    def revoke_others(self, live: LoadedSession) -> tuple[LoadedSession, int]:
        """End all other sessions of the account of this one, those being signed in right now included. Return this
        one as it is now, and how many others there were.

        Raises `SessionEndedDuringRequest` if this one has ended: then the others live on.
        """
        for _ in attempts("the record"):
            done = self._repository.revoke_others(live)
            self._confirm(done, live.record.account, "revoked")
            if done.ended != -1:
                events.publish(events.SessionsRevoked(account=live.record.account, scope="others"))
                return live, done.ended
            found = self._repository.reload(live)
            if isinstance(found, EndedSession):
                raise SessionEndedDuringRequest(reason=found.reason)
            live = found
        raise AssertionError  # `attempts` has raised

    def revoke_account(self, account: Account | str, reason: str = "everywhere", *, publish: bool = True) -> int:
        """End every session of an account in one write, those being signed in right now included; return how many
        there were. Without `publish` the caller publishes its own event.
        """
        done = self._repository.revoke_account(str(account), reason)
        self._confirm(done, str(account), reason)
        if publish:
            events.publish(events.SessionsRevoked(account=str(account), scope="all"))
        return done.ended

    def revoke_everybody(self) -> None:
        """End every session of the site in one write."""
        self._confirm(self._repository.revoke_everybody(), None, "revoked")
        events.publish(events.SessionsRevoked(account=None, scope="everybody"))

    def _ended(self, done: Revocation, handle: str, account: str | None, reason: str) -> bool:
        self._confirm(done, account, reason)
        if done.ended == 1 and handle:
            events.publish(events.SessionEnded(handle=handle, account=account, reason=reason))
        return done.ended == 1

    @staticmethod
    def _confirm(done: Revocation, account: str | None, reason: str) -> None:
        if not done.confirmed:
            events.publish(events.RevocationUnconfirmed(account=account, reason=reason))


def _twice(end: Callable[P, bool], *args: P.args, **kwargs: P.kwargs) -> bool:
    """End a session that a new one replaces; try once more if the answer is lost.

    Redis may have ended it by then. A sign-in that gave up would leave the browser with neither session, and lose the
    visitor's data.
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
