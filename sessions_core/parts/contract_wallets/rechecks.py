"""Sessions of contract wallets: whether the contract still stands by what was signed (EIP-4361, "Server").

A contract can change its mind: an owner is removed, a key replaced. Nobody tells us, so it is asked again: on a
schedule while anybody asks about the session, and before anything that takes a fresh signature and would pass without
one.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from ...errors import RpcUnavailable
from ...sessions.flask_session import WalletSession
from ...sessions.record import EndedSession, LoadedSession, SessionRecord
from ...sign_in.accounts import stored
from ...web.services import Services
from .proof import PROOF, REVOKED

_TURN = 60  # seconds; longer than any question to a node, and when to try again one that could not be asked


def check_when_due(ours: Services, current: WalletSession) -> None:
    """Ask the contract if that was long enough ago, and end the session if it no longer accepts the signature.

    One request at a time does so, the others go on. Nobody is signed out for a node that can't be reached.
    """
    live = _of_contract(current)
    # A time in the future is none that a clock of today wrote.
    if live is None or 0 <= live.now - checked_at(live) < ours.settings.contract_check_seconds * 1000:
        return
    if ours.repository.consume_nonce(f"check:{live.record.handle}", _TURN):  # no nonce has a colon
        with suppress(RpcUnavailable):  # it is in the log
            _ask(ours, current, live)


def check(ours: Services, current: WalletSession) -> None:
    """Ask the contract now, and end the session if it no longer accepts the signature. May raise `RpcUnavailable`."""
    live = _of_contract(current)
    if live is not None and checked_at(live) != live.now:  # not twice in one request
        _ask(ours, current, live)


def _of_contract(current: WalletSession) -> LoadedSession | None:
    live = current.account_live
    return live if live is not None and PROOF.of(live.record).message else None


def checked_at(live: LoadedSession) -> int:
    """Return when the contract last accepted what its account signed, in milliseconds since the epoch."""
    record = live.record
    return PROOF.of(record).checked_at or max(record.signed_at, *record.confirmed.values(), 0)


def _ask(ours: Services, current: WalletSession, live: LoadedSession) -> None:
    proof = PROOF.of(live.record)
    if ours.contracts.accepts(stored(live.record.account), proof.message, proof.signature):

        def note(record: SessionRecord) -> None:
            PROOF.put(record, msgspec.structs.replace(PROOF.of(record), checked_at=live.now))

        ours.store.amend(current, note)
        return
    ours.lifecycle.revoke(live, REVOKED.name)
    current.lose(EndedSession(REVOKED.name, live.record.handle))
