"""Sessions of contract wallets: whether the contract still stands by what was signed (EIP-4361, "Server").

A contract can change its mind: an owner is removed, a key replaced. Nobody tells us, so it is asked again: on a
schedule while anybody asks about the session, and before anything that takes a fresh signature and would pass without
one.
"""

from __future__ import annotations

from contextlib import suppress

from ...errors import RpcUnavailable
from ...sessions.flask_session import WalletSession
from ...sessions.repository import Live, Record
from ...sign_in.accounts import stored
from ...web.services import Services

_REASON = "wallet_revoked"
_TURN = 60  # seconds; longer than any question to a node, and when to try again one that could not be asked


def check_when_due(ours: Services, current: WalletSession) -> None:
    """Ask the contract if that was long enough ago, and end the session if it no longer accepts the signature.

    One request at a time does so, the others go on. Nobody is signed out for a node that can't be reached.
    """
    live = _of_contract(current)
    # A time in the future is none that a clock of today wrote.
    if live is None or 0 <= live.now - live.record.checked_at < ours.settings.contract_check_seconds * 1000:
        return
    if ours.records.spend(f"check:{live.record.handle}", _TURN):  # no nonce has a colon
        with suppress(RpcUnavailable):  # it is in the log
            _ask(ours, current, live)


def check(ours: Services, current: WalletSession) -> None:
    """Ask the contract now, and end the session if it no longer accepts the signature. May raise `RpcUnavailable`."""
    live = _of_contract(current)
    if live is not None and live.record.checked_at != live.now:  # not twice in one request
        _ask(ours, current, live)


def _of_contract(current: WalletSession) -> Live | None:
    live = current.account_live
    return live if live is not None and live.record.proof is not None else None


def _ask(ours: Services, current: WalletSession, live: Live) -> None:
    proof = live.record.proof
    assert proof is not None  # noqa: S101  # `_of_contract` saw to it
    if ours.contracts.accepts(stored(live.record.account), *proof):

        def note(record: Record) -> None:
            record.checked_at = live.now

        ours.store.amend(current, note)
        return
    ours.lifecycle.revoke(live, _REASON)
    current.lose(_REASON)
    current.ended_handle = live.record.handle
