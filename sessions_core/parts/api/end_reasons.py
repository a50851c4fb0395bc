"""Why a session has ended, or a token is invalid."""

from __future__ import annotations

from ...sessions.end_reasons import EndReason

REUSED = EndReason("token_reused", "one of its refresh tokens came from two: a copy exists", has_page=False)
TOKEN = EndReason(
    "token",
    "this site did not issue the token, or not for this use; or it has run out",
    has_page=False,
    is_counted=False,
)
