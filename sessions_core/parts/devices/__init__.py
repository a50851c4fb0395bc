"""A user's sessions on all devices: list, name, end; and notices of sign-ins elsewhere."""

from __future__ import annotations

from ...access.actions import Action
from ...part import Part
from .recent_sign_ins import SIGN_INS

_LIST = "sessions.devices"
_WORDS = "sessions/_devices_action_words.html"


class Devices(Part):
    """The list of a user's sessions: name them, end them, hear of new ones."""

    account_keys = (SIGN_INS,)
    actions = {
        "session.revoke": Action("End the session {handle}.", _WORDS, _LIST),
        "session.revoke_others": Action(
            "End all other sessions of this account and of those linked to it.", _WORDS, _LIST
        ),
        "session.revoke_all": Action(
            "Sign out everywhere: end every session of this account and of those linked to it.", _WORDS, _LIST
        ),
    }
    slots = {"confirm_facts": "sessions/_devices_confirm_facts.html"}
