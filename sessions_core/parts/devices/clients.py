"""Notes that a session is used from another place or device, and publishes an event."""

from __future__ import annotations

from ... import events
from ...sessions.flask_session import WalletSession
from ...sessions.record import LoadedSession
from ...web import request_client
from ...web.guards import amend_if_writable
from ...web.services import Services
from .events import ClientChanged
from .recent_sign_ins import DEVICE, note_client


def follow(services: Services, session: WalletSession, live: LoadedSession) -> None:
    """Note that a session is used from another place or device."""
    record, known, seen = live.record, DEVICE.of(live.record), request_client.current()
    changed = "ip" if seen.ip != known.ip else "device" if seen.agent != known.agent else ""
    if known.device and changed and amend_if_writable(services, session, lambda each: note_client(each, seen)):
        events.publish(ClientChanged(handle=record.handle, account=record.account, changed=changed))
