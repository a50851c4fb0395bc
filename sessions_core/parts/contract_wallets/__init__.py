"""Accounts that are smart contracts: ERC-1271 and ERC-6492, asked through JSON-RPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...part import Part
from .errors import (
    ContractWalletMissing,
    ContractWalletRefused,
    ContractWalletSilent,
    ContractWalletUnsupported,
    RpcUnavailable,
)
from .options import ContractWalletSettings
from .proof import PROOF, REVOKED, ContractProof

if TYPE_CHECKING:
    from flask import Flask

    from ...errors import SignInRefused
    from ...sessions.flask_session import WalletSession
    from ...sessions.record import SessionRecord
    from ...sign_in.accounts import Account
    from ...sign_in.challenges import Signed
    from .contracts import Contracts
    from .rechecks import Rechecks


class ContractWallets(Part):
    """Sign-in by smart-contract wallets on EVM chains."""

    needs = ("ethereum",)
    libraries = {"Crypto": "pycryptodome>=3.20"}
    settings = ContractWalletSettings
    errors = (
        ContractWalletMissing,
        ContractWalletRefused,
        ContractWalletSilent,
        ContractWalletUnsupported,
        RpcUnavailable,
    )
    slots = {
        "activity_words": "sessions/_activity_contract_wallets.html",
        "panel_states": "sessions/_contract_wallet_states.html",
        "panel_troubles": "sessions/_contract_wallet_troubles.html",
        "signature_hints": "sessions/_contract_wallet_hint.html",
        "endings": "sessions/_contract_wallet_endings.html",
        "problems": "sessions/_contract_wallet_problems.html",
    }
    options: ContractWalletSettings
    end_reasons = (REVOKED,)
    contracts: Contracts
    rechecks: Rechecks

    def setup(self, app: Flask) -> None:
        """Make the client that asks nodes about contracts."""
        from .contracts import Contracts
        from .rechecks import Rechecks

        self.contracts = Contracts(self.options)
        self.rechecks = Rechecks(self.services, self.contracts, self.options.contract_check_seconds)

    def verify_otherwise(
        self, account: Account, message: str, signature: str, refusal: SignInRefused
    ) -> object | None:
        """Ask the contract at the account's address whether it accepts the signature."""
        return ContractProof(message=message, signature=self.contracts.verify(account, message, signature, refusal))

    def on_sign_in(self, signed: Signed, record: SessionRecord, cookies: bool) -> None:
        """Store the text and signature that the contract accepted, so that it can be asked again."""
        proof = signed.evidence if isinstance(signed.evidence, ContractProof) else ContractProof()
        if proof != PROOF.of(record):
            PROOF.put(record, proof)

    def check_session(self, session: WalletSession, thorough: bool) -> None:
        """Ask the contract again if the last answer is old enough; end the session if it no longer accepts."""
        if thorough:
            self.rechecks.check(session)
        else:
            self.rechecks.check_when_due(session)
