"""A user's sessions on all devices: list, name, end; and notices of sign-ins elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import events
from ...access.actions import Action
from ...part import Part
from .recent_sign_ins import DEVICE, SIGN_INS, note_client

if TYPE_CHECKING:
    from ...sessions.flask_session import WalletSession
    from ...sessions.record import SessionRecord
    from ...sign_in.challenges import Signed


class Devices(Part):
    """The list of a user's sessions: name them, end them, hear of new ones."""

    account_keys = (SIGN_INS,)
    actions = {
        "session.revoke": Action("End the session {handle}."),
        "session.revoke_others": Action("End all other sessions of this account and of those linked to it."),
        "session.revoke_all": Action(
            "Sign out everywhere: end every session of this account and of those linked to it."
        ),
    }

    def on_sign_in(self, signed: Signed, record: SessionRecord, cookies: bool) -> None:
        """Keep where a new session is used from; one that goes on is looked at by `on_use`."""
        from ...web import request_client

        if not record.created_at:
            note_client(record, request_client.current())

    def on_use(self, session: WalletSession) -> None:
        """Note where a session is used from, as rarely as activity is written. One without a device keeps none."""
        from ...web import guards, request_client

        live = session.account_live
        if live is None or not live.kept_alive or not (device := DEVICE.of(live.record)).device:
            return
        seen = request_client.current()
        changed = "ip" if seen.ip != device.ip else "device" if seen.agent != device.agent else ""
        if changed and guards.amend_if_possible(self.services, session, lambda record: note_client(record, seen)):
            handle, account = live.record.handle, live.record.account
            events.publish(events.ClientChanged(handle=handle, account=account, changed=changed))
