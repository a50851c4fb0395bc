"""Several wallets of one user, linked under one user id."""

from __future__ import annotations

from ...access.actions import Action
from ...part import Part
from .user import PERSON, UNLINKED_REASON

_WORDS = "sessions/_linked_wallets_action_words.html"


class LinkedWallets(Part):
    """Several accounts of one user."""

    account_keys = (PERSON,)
    end_reasons = (UNLINKED_REASON,)
    actions = {
        "wallet.join": Action("Link this account to {account}: whoever holds either is the same person here."),
        "wallet.link": Action(
            "Link {account} to this account: whoever holds either is the same person here.", _WORDS
        ),
        "wallet.unlink": Action("Unlink {account} from this account, and end its sessions.", _WORDS),
        "wallet.primary": Action("Make {account} the primary account of this person.", _WORDS),
    }
