"""Where a session is used from, kept with it for its user to recognise."""

from __future__ import annotations

from ... import events
from ...sessions.flask_session import WalletSession
from ...sessions.repository import Record
from ...web import request_client
from ...web.guards import amend_if_writable
from ...web.request_client import Client
from ...web.services import Services
from .events import ClientChanged


def note_client(record: Record, client: Client) -> None:
    """Put into a record where its session is used from."""
    record.ip, record.agent, record.device = client.ip, client.agent, client.device


def follow(ours: Services, session: WalletSession) -> None:
    """Note that a session goes on from elsewhere. Looked at as rarely as activity is written."""
    live = session.account_live
    if live is None or not live.slid or not live.record.device:
        return
    record, seen = live.record, request_client.current()
    changed = "ip" if seen.ip != record.ip else "device" if seen.agent != record.agent else ""
    if changed and amend_if_writable(ours, session, lambda record: note_client(record, seen)):
        events.publish(ClientChanged(handle=record.handle, account=record.account, changed=changed))
