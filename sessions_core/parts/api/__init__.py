"""The JSON service for programs without cookies: session tokens, refresh tokens, OpenAPI."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING

from ...part import Part
from .refresh_tokens import REUSED, note_use

if TYPE_CHECKING:
    from ...sessions.flask_session import WalletSession


class Api(Part):
    """Sessions for programs: session tokens, refresh tokens, JWKS, OpenAPI."""

    end_reasons = (REUSED,)
    libraries = {"joserfc": "joserfc>=1.8"}

    def on_read(self, session: WalletSession) -> None:
        """Note that somebody has used the session token that came with the newest refresh token (`refresh_tokens`):
        the answer that both were in was not lost. One write for each refresh.
        """
        from ...web.guards import amend_if_writable

        live, claims = session.account_live, session.claims
        if live is None or claims is None or not note_use(copy(live.record), claims.gen):
            return
        # Without Redis's writes there is no refresh either: the next request notes it.
        amend_if_writable(self.services, session, lambda record: note_use(record, claims.gen))
