"""Roles and verifications of accounts, and the administration pages that change them."""

from __future__ import annotations

from ...access.actions import Action
from ...part import Part
from .account_status import STANDING


class Roles(Part):
    """Roles and verifications that administrators give, and the pages where they do."""

    needs = ("devices",)
    slots = {"activity_words": "sessions/_activity_roles.html"}
    account_keys = (STANDING,)
    actions = {
        "write:therapy_notes": Action("Write a therapy note."),
        "admin.open": Action("Open the administration of this site."),
        "admin.role": Action("Give the role {role} to {account}."),
        "admin.verify": Action("Verify {account} as professional {professional_id}, level {level}, for {days} days."),
        "admin.withdraw": Action("Withdraw the verification of {account}."),
        "admin.revoke": Action("End the session {handle} of {account}."),
        "admin.revoke_account": Action("End every session of {account}."),
        "admin.revoke_everybody": Action("Sign everybody out of this site."),
    }
