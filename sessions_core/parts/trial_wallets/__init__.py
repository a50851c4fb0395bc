"""Wallets for visitors who have none: one half of the key on the server, the other in the browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...access.actions import Action
from ...part import Part
from .key_shares import DELETED, SHARE_GONE, TRIAL_WALLET, TrialWallet

if TYPE_CHECKING:
    from ...sessions.record import SessionRecord
    from ...sign_in.challenges import Signed


class TrialWallets(Part):
    """Try the site with a wallet that is made for the visitor."""

    needs = ("ethereum",)
    end_reasons = (SHARE_GONE, DELETED)
    actions = {
        "wallet.export": Action("Show the private key of this wallet in this browser."),
        "wallet.delete": Action("Delete this wallet: its key is lost for good."),
    }

    def on_sign_in(self, signed: Signed, record: SessionRecord, cookies: bool) -> None:
        """Note that the browser holds half of the wallet that signs in."""
        from . import cookie

        # Not by the name that the page gave the wallet: any page can give any name.
        if not record.created_at and cookies and cookie.names(signed.account):
            TRIAL_WALLET.put(record, TrialWallet(held=self.services.shares.holds(signed.account)))
