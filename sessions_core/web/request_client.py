"""The client of the current request.

The client or a proxy claims all of it. It is for users to read, never for a decision about access.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flask import Request, g, has_request_context
from flask.globals import request_ctx

from ..sign_in.addresses import shown_address
from .services import current_services

_LONGEST_AGENT = 300


@dataclass(frozen=True, slots=True)
class Client:
    """The address, the user agent and the device of a request, as they are stored and shown.

    `ip` is an address or, where the settings shorten it, its network; empty if there is none. `agent` has at most 300
    characters, all of them visible. `device` is what a part makes of the agent (`Part.describe_agent`), else empty.
    """

    ip: str = ""
    agent: str = ""
    device: str = ""


COMMAND_LINE = Client(device="Command line")


def current() -> Client:
    """Return the client of this request, its address shortened if the settings say so; without a request the command
    line.
    """
    if not has_request_context():
        return COMMAND_LINE
    request = request_ctx.request
    kept: tuple[Request, Client] | None = g.get("sessions_core_client")
    # One application context around several requests, as in a test or a task, gives them all one `g`: a client must
    # not be recorded as another one because of that.
    if kept is None or kept[0] is not request:
        services, agent = current_services(), request.headers.get("User-Agent", "")
        describe = services.hooks("describe_agent")
        client = client_of(request.remote_addr or "", agent, services.settings.shorten_ip, describe)
        kept = g.sessions_core_client = (request, client)
    return kept[1]


def client_of(ip: str, agent: str, shorten: bool, describe: Iterable[Callable[[str], str]] = ()) -> Client:
    """Return the client with this address and User-Agent header; what can't be read is left empty.

    `shorten` keeps only the network of the address; `describe` says what to call the device of an agent.
    """
    # Cut first, so that a long header makes the rest no slower.
    visible = "".join(each for each in agent[:_LONGEST_AGENT] if each.isprintable()).strip()
    return Client(shown_address(ip, shorten), visible, "".join(each(visible) for each in describe))
