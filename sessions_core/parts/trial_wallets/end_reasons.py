"""Why sessions with a trial wallet end."""

from __future__ import annotations

from ...sessions.end_reasons import EndReason

SHARE_GONE = EndReason("share_gone", "its browser no longer holds its key share of a trial wallet")
DELETED = EndReason("wallet_deleted", "its trial wallet was deleted", is_counted=False)
