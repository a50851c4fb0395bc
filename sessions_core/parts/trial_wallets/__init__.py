"""Wallets for visitors who have none: one half of the key on the server, the other in the browser."""

from __future__ import annotations

from ...access.actions import Action
from ...part import Part
from .key_shares import DELETED, SHARE_GONE


class TrialWallets(Part):
    """Try the site with a wallet that is made for the visitor."""

    needs = ("ethereum",)
    slots = {"activity_words": "sessions/_activity_trial_wallets.html"}
    end_reasons = (SHARE_GONE, DELETED)
    actions = {
        "wallet.export": Action("Show the private key of this wallet in this browser."),
        "wallet.delete": Action("Delete this wallet: its key is lost for good."),
    }
