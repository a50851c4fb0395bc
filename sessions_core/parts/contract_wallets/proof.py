"""The text and signature that a contract last accepted, stored with the session so that it can be asked again."""

from __future__ import annotations

import msgspec

from ...sessions.end_reasons import EndReason
from ...sessions.record import Section

REVOKED = EndReason("wallet_revoked", "the contract that is the account no longer accepts what was signed")


class ContractProof(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """The text and the signature, and when the contract was asked again, in milliseconds since the epoch; 0 for not
    since the wallet signed. Empty for an account that is no contract.
    """

    message: str = ""
    signature: bytes = b""
    checked_at: int = 0


PROOF = Section("contract_wallets", ContractProof)
