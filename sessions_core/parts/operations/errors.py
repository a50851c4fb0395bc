"""What the health checks refuse."""

from __future__ import annotations

from ...errors import SessionsError, _


class NotReady(SessionsError):
    """`/readyz` asks load balancers to send no requests here now: `reason` is one word of `readiness.TROUBLES`."""

    code = "not_ready"
    status = 503
    title = _("Not ready")
    message = _("This server can't take requests right now. Try again in a few seconds, or another server.")
