"""Notes from where a session is used, at its sign-in and later on."""

from __future__ import annotations

import msgspec
from flask import after_this_request, request
from werkzeug.wrappers import Response

from ... import events
from ...sessions.flask_session import WalletSession
from ...sessions.record import LoadedSession, SessionRecord
from ...web import request_client
from ...web.guards import amend_if_writable, wallet_session
from ...web.services import Services
from .events import ClientChanged
from .known_browsers import KnownBrowsers
from .recent_sign_ins import DEVICE, note_client


def note_sign_in(services: Services, known: KnownBrowsers, record: SessionRecord, cookies: bool) -> None:
    """Put into the record of a session that is about to start where its user signs in. With `cookies` it is that of a
    browser: note since when this one is known, and let the response remember it.
    """
    client = request_client.current()
    note_client(record, client)
    if not cookies:
        return
    since = known.since(request, record.account, client.device, int(services.clock() * 1000))
    DEVICE.put(record, msgspec.structs.replace(DEVICE.of(record), known_since=since))

    @after_this_request
    def remember(response: Response) -> Response:
        live = wallet_session().account_live
        if live is None or live.record.handle != record.handle:
            return response  # the session has not started
        now = live.record.created_at
        return known.remember(request, response, record.account, client.device, since or now, now)


def follow(services: Services, session: WalletSession, live: LoadedSession) -> None:
    """Note that a session is used from another place or device."""
    record, known, seen = live.record, DEVICE.of(live.record), request_client.current()
    changed = "ip" if seen.ip != known.ip else "device" if seen.agent != known.agent else ""
    if known.device and changed and amend_if_writable(services, session, lambda each: note_client(each, seen)):
        events.publish(ClientChanged(handle=record.handle, account=record.account, changed=changed))
