"""Roles and verifications of accounts, and the administration pages that change them."""

from __future__ import annotations

from ...access.actions import Action
from ...part import Part
from .account_status import STANDING

_ACCOUNT = "sessions.admin_account"
_WORDS = "sessions/_roles_action_words.html"


class Roles(Part):
    """Roles and verifications that administrators give, and the pages where they do."""

    needs = ("devices",)
    account_keys = (STANDING,)
    actions = {
        "write:therapy_notes": Action("Write a therapy note.", _WORDS),
        "admin.open": Action("Open the administration of this site.", _WORDS),
        "admin.role": Action("Give the role {role} to {account}.", _WORDS, _ACCOUNT),
        "admin.verify": Action(
            "Verify {account} as professional {professional_id}, level {level}, for {days} days.", _WORDS, _ACCOUNT
        ),
        "admin.withdraw": Action("Withdraw the verification of {account}.", _WORDS, _ACCOUNT),
        "admin.revoke": Action("End the session {handle} of {account}.", _WORDS, _ACCOUNT),
        "admin.revoke_account": Action("End every session of {account}.", _WORDS, _ACCOUNT),
        "admin.revoke_everybody": Action("Sign everybody out of this site.", _WORDS, "sessions.admin"),
    }
