"""Why a client gets no live updates."""

from __future__ import annotations

from ...errors import BadRequest, SessionsError


class LiveUpdatesUnavailable(SessionsError):
    """No connection for live updates was opened. `reason` says why: "full" (the process has as many as it may),
    "session_full" (the session has three already), "redis" (Redis does not tell this process what happens) or
    "server" (the web server has one thread, does not say how many it has, or does not hand over its connection).
    Pages ask every 30 seconds instead.
    """

    code = "live_updates_unavailable"
    status = 503
    title = "No live updates now"
    message = "This page can't be updated live right now. It asks for news every 30 seconds instead."


class WebSocketMalformed(BadRequest):
    """The request for a WebSocket is not one of RFC 6455, section 4.1. No browser sends such a request. `reason` says
    what is wrong: "key" (`Sec-WebSocket-Key` is not 16 bytes in Base64) or "headers" (any other).
    """

    code = "websocket_malformed"
    message = "Open the WebSocket with the headers of RFC 6455, section 4.1."


class WebSocketVersionUnsupported(SessionsError):
    """The request is for another version of the WebSocket protocol (RFC 6455, section 4.4). The answer's header
    `Sec-WebSocket-Version` says which one this site speaks.
    """

    code = "websocket_version_unsupported"
    status = 426
    title = "Another WebSocket version"
    message = "This site speaks version 13 of the WebSocket protocol."
