"""Asks contracts again whether they still accept a session's signature (EIP-4361, "Server").

A contract can change its mind: an owner is removed, a key replaced. The server is not told, so it asks again: on a
schedule while clients ask about the session, and before an action that needs a fresh signature and would pass without
a new one.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from ...sessions.flask_session import WalletSession
from ...sessions.record import EndedSession, LoadedSession, SessionRecord
from ...sign_in.accounts import stored
from ...web.services import Services
from .contracts import Contracts
from .errors import RpcUnavailable
from .proof import PROOF, REVOKED

_TURN = 60  # seconds; longer than any question to a node, and when to try again one that could not be asked


class Rechecks:
    """Asks contracts again; `seconds` is how often, while a session is in use."""

    def __init__(self, services: Services, contracts: Contracts, seconds: int) -> None:
        self._services = services
        self._contracts = contracts
        self._seconds = seconds

    def check_when_due(self, session: WalletSession) -> None:
        """Ask the contract if that was long enough ago, and end the session if it no longer accepts the signature.

        One request at a time does so, the others go on. An unreachable node signs no user out.
        """
        live = _of_contract(session)
        # No working clock wrote a time in the future.
        if live is None or 0 <= live.now - checked_at(live) < self._seconds * 1000:
            return
        if self._services.repository.consume_nonce(f"check:{live.record.handle}", _TURN):  # no nonce has a colon
            with suppress(RpcUnavailable):  # it is in the log
                self._ask(session, live)

    def check(self, session: WalletSession) -> None:
        """Ask the contract now, and end the session if it no longer accepts the signature.

        May raise `RpcUnavailable`.
        """
        live = _of_contract(session)
        if live is not None and checked_at(live) != live.now:  # not twice in one request
            self._ask(session, live)

    def _ask(self, session: WalletSession, live: LoadedSession) -> None:
        proof = PROOF.of(live.record)
        if self._contracts.accepts(stored(live.record.account), proof.message, proof.signature):

            def note(record: SessionRecord) -> None:
                PROOF.put(record, msgspec.structs.replace(PROOF.of(record), checked_at=live.now))

            self._services.store.amend(session, note)
            return
        self._services.lifecycle.revoke(live, REVOKED.name)
        session.lose(EndedSession(REVOKED.name, live.record.handle))


def _of_contract(session: WalletSession) -> LoadedSession | None:
    live = session.account_live
    return live if live is not None and PROOF.of(live.record).message else None


def checked_at(live: LoadedSession) -> int:
    """Return when the contract last accepted what its account signed, in milliseconds since the epoch."""
    record = live.record
    return PROOF.of(record).checked_at or max(record.signed_at, *record.confirmed.values(), 0)
