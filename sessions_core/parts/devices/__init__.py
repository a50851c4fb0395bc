"""A user's sessions on all devices: list, name, end; and notices of sign-ins elsewhere."""

from __future__ import annotations

from ...access.actions import Action
from ...part import Part
from .recent_sign_ins import SIGN_INS


class Devices(Part):
    """The list of a user's sessions: name them, end them, hear of new ones."""

    slots = {"activity_words": "sessions/_activity_devices.html"}
    account_keys = (SIGN_INS,)
    actions = {
        "session.revoke": Action("End the session {handle}."),
        "session.revoke_others": Action("End all other sessions of this account and of those linked to it."),
        "session.revoke_all": Action(
            "Sign out everywhere: end every session of this account and of those linked to it."
        ),
    }
