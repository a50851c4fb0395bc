"""Where the request that is being handled came from."""

from __future__ import annotations

from flask import Request, g, has_request_context
from flask.globals import request_ctx

from ..sessions.user_agent import Client, describe
from .services import services

COMMAND_LINE = Client(device="Command line")


def current() -> Client:
    """Return the client of this request, its address as the settings want it; outside of one the command line."""
    if not has_request_context():
        return COMMAND_LINE
    request = request_ctx.request
    kept: tuple[Request, Client] | None = g.get("sessions_core_client")
    # One application context around several requests, as in a test or a task, gives them all one `g`: nobody may be
    # noted as somebody else for that.
    if kept is None or kept[0] is not request:
        agent = request.headers.get("User-Agent", "")
        client = describe(request.remote_addr or "", agent, services().settings.shorten_ip)
        kept = g.sessions_core_client = (request, client)
    return kept[1]
