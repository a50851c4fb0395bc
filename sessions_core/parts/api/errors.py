"""What is wrong with a token."""

from __future__ import annotations

from typing import Any

from ...errors import SessionExpired, SessionInvalid, _


class TokenInvalid(SessionInvalid):
    """This site did not issue the token, or not for this use. `reason` is always "token"."""

    code = "token_invalid"
    message = _("This token can't be used here. Sign in again to get one.")
    suspicious = True

    def __init__(self, *evidence: object, **refinement: Any) -> None:
        super().__init__(*evidence, **({"reason": "token"} | refinement))


class TokenExpired(SessionExpired):
    """The session token has run out; the session may still be alive. `reason` is always "token"."""

    code = "token_expired"
    message = _("This session token has run out. Use the refresh token to get a new one.")

    def __init__(self, *evidence: object, **refinement: Any) -> None:
        super().__init__(*evidence, **({"reason": "token"} | refinement))
