"""Why a browser gets no live updates."""

from __future__ import annotations

from ...errors import SessionsError


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
