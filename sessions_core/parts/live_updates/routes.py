"""The WebSocket of a signed-in browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flask import Blueprint, Response, after_this_request, current_app, request

from ...errors import CrossSiteRequest
from ...web.guards import public, refusal, wallet_session
from ...web.services import current_services
from . import LiveUpdates
from .connection import (
    SERVING,
    VERSION,
    VERSION_HEADER,
    LiveConnection,
    check_handshake,
    most_connections,
    refuse,
    tags_of,
)
from .errors import WebSocketVersionUnsupported
from .hub import Waiting

events = Blueprint("sessions_live_updates", __name__, url_prefix="/api/auth", template_folder="templates")


@events.route("/sessions/events", websocket=True)
@public(keeps_alive=False, csrf=False)
def listen() -> Response:
    """Tell a browser of the end of its session and of changes to its account, until either side closes.

    The cookie says which session; nothing that the browser sends is read. Only this site's own pages may connect: a
    page of another site that opens a WebSocket brings the cookie along, and browsers let it read what comes
    (cross-site WebSocket hijacking). All browsers send `Origin`.

    Without a living session the connection is closed at once, with the reason: scripts don't see how a handshake is
    refused. When too many are being closed the handshake is refused all the same: then the page asks `validate`.
    """
    services, session = current_services(), wallet_session()
    origin = request.headers.get("Origin")
    if origin != services.settings.public_origin:
        raise CrossSiteRequest("Origin", origin)
    part = services.part(LiveUpdates)
    most = most_connections(request.environ, part.options.live_connections)
    try:
        check_handshake(request.headers)
    except WebSocketVersionUnsupported:
        after_this_request(_name_version)
        raise
    live = session.account_live
    if live is None or session.claims is not None:  # a token is for programs, which ask `validate`
        refused = refusal(session)
        with part.hub.refusing(most) as accepted:
            if not accepted:
                raise refused
            return _HandedOver(refuse(request.environ, refused.reason or "no_token"))
    handle = live.record.handle
    waiting = Waiting(handle, tags_of(services, live))
    serving: Callable[[], bool] = request.environ.get(SERVING, lambda: True)
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    with part.hub.joined(waiting, most), part.seats.taken(handle) as seat:
        keep = partial(part.seats.keep, handle, seat)
        mode = LiveConnection(app, services, waiting, keep, serving).follow(request.environ, live.keys.tag)
    return _HandedOver(mode)


def _name_version(response: Response) -> Response:
    response.headers[VERSION_HEADER] = VERSION
    return response


class _HandedOver(Response):
    """The answer to a request whose connection was served by other means: nothing of it is sent."""

    def __init__(self, mode: str) -> None:
        super().__init__()
        self._mode = mode

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._mode == "gunicorn":
            raise StopIteration  # how gunicorn is told that nothing is left to do
        return super().__call__(environ, start_response)
