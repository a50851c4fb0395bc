"""Roles and verifications of accounts, and the administration pages that change them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flask import current_app

from ...access.actions import Action
from ...access.policy import AccountStatus, SessionType
from ...errors import _
from ...events import SessionCreated
from ...part import MenuEntry, Part
from .. import devices
from .account_status import STATUS_KEY, UNKNOWN
from .events import RoleChanged, VerificationChanged
from .options import RoleSettings
from .schemas import State

if TYPE_CHECKING:
    import click
    from flask import Blueprint, Flask

    from ...events import Event
    from ...sessions.record import AccountValues
    from ...settings import Settings
    from ...sign_in.accounts import Account
    from ...web.session_view import SessionView
    from .account_status import StoredStatus
    from .roles import AccountRoles

OPEN = (15 * 60, "admin.open")
"""The signature that opens the administration: its age in seconds, and its action."""

_START, _ACCOUNT = "sessions_roles.admin", "sessions_roles.admin_account"
_WORDS = "sessions/_roles_action_words.html"


class Roles(Part):
    """Roles and verifications, and the pages where administrators change them."""

    needs = ("devices",)  # for the table of an account's sessions
    uses = ("command_line",)
    settings = RoleSettings
    account_keys = (STATUS_KEY,)
    actions = {
        "write:therapy_notes": Action(_("Write a therapy note."), _WORDS),
        "admin.open": Action(_("Open the administration of this site."), _WORDS),
        "admin.role": Action(_("Give the role {role} to {account}."), _WORDS, _ACCOUNT),
        "admin.verify": Action(
            _("Verify {account} as professional {professional_id}, level {level}, for {days} days."), _WORDS, _ACCOUNT
        ),
        "admin.withdraw": Action(_("Withdraw the verification of {account}."), _WORDS, _ACCOUNT, danger=True),
        "admin.revoke": Action(
            _("Sign out {device} ({handle:.9}) of {account}."),
            _WORDS,
            _ACCOUNT,
            facts=devices.device_of_account,
            recheck=False,
            danger=True,
        ),
        "admin.revoke_account": Action(_("Sign out all devices of {account}."), _WORDS, _ACCOUNT, danger=True),
        "admin.revoke_everybody": Action(_("Sign everybody out of this site."), _WORDS, _START, danger=True),
    }
    redis_keys = {
        "{tag}:standing": "string: role and verification of an account, encrypted",
        "{directory}:decided": "hash: the accounts with a role or a verification, encrypted",
        "{directory}:changed": "zset: those accounts by the time of the last decision",
        "{directory}:seen": "zset: the latest ten thousand accounts by the time of their last sign-in",
        "{directory}:names": "hash: the accounts in that list, encrypted",
    }
    state = State
    menu = (
        MenuEntry(_("Admin"), _START, below=("sessions_roles.", "sessions_activity_admin."), role="admin", order=90),
    )
    events = (RoleChanged, VerificationChanged)
    slots = {
        "activity_words": "sessions/_activity_roles.html",
        "status_notices": "sessions/_professional_offer.html",
        "account_facts": "sessions/_professional_fact.html",
        "unauthorized_development": "sessions/_grant_command.html",
    }
    options: RoleSettings
    roles: AccountRoles

    def setup(self, app: Flask) -> None:
        """Make the service that reads and changes roles and verifications."""
        from .roles import AccountRoles

        services = self.services
        self.roles = AccountRoles(services.connection, services.keys, services.repository, services.settings)

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the administration pages."""
        from . import admin

        return (admin.pages,)

    def commands(self) -> Sequence[click.Command]:
        """Return `flask roles`, where there is a command line."""
        if "command_line" not in self.services.parts:
            return ()
        from . import commands

        return (commands.roles,)

    def session_types(self, settings: Settings) -> Sequence[SessionType]:
        """Return the type for verified professionals."""
        return (
            SessionType(
                "professional",
                "prof_",
                self.options.professional_idle_seconds,
                self.options.professional_absolute_seconds,
                ("read:all_profiles", "write:therapy_notes", "manage:sessions", "access:professional_tools"),
                verified=True,
                fresh=("write:therapy_notes",),
            ),
        )

    def stored_status(self, values: AccountValues) -> StoredStatus:
        """Return role and verification of an account, as they were read with the account's session."""
        return self.roles.status_of(values)

    def command_for(self, account: Account, role: str | None) -> str:
        """Return the command that gives an account the role, or without one verifies it.

        It is empty without a command line, and where the application says which role an account has.
        """
        if "command_line" not in self.services.parts or (role and self.services.role_for is not None):
            return ""
        what = f"grant {account} {role}" if role else f"verify {account} lic_1 licensed --days 30"
        module = current_app.import_name
        return f"flask --app {'app' if module == '__main__' else module} roles {what}"

    def account_status(self, account: str, values: AccountValues) -> AccountStatus | None:
        """Return role and verification as administrators decided them, if they decided anything."""
        stored = self.stored_status(values)
        return None if stored is UNKNOWN else AccountStatus(stored.role, stored.verified(values.now))

    def privileges(self, account: str, values: AccountValues) -> str:
        """Return the level of a verification that holds."""
        stored = self.stored_status(values)
        return f"level:{stored.verification_level}" if stored.verified(values.now) else ""

    def session_state(self, view: SessionView) -> Mapping[str, Any]:
        """Return the verification, for sessions of a type that takes one: `None` once it has lapsed."""
        if not view.session_type.verified:
            return {}
        stored = self.stored_status(view.live.account_values) if view.verified else None
        return {
            "professional_id": stored.professional_id if stored else None,
            "verification_level": stored.verification_level if stored else None,
        }

    def on_event(self, event: Event) -> None:
        """Keep the latest sign-ins for administrators."""
        if isinstance(event, SessionCreated):
            self.roles.note_sign_in(event.account)

    def sweep(self) -> Mapping[str, tuple[int, str]]:
        """Encrypt roles with the newest secret: they would be gone with an older one that is dropped."""
        return {
            "standings": (
                self.roles.reencrypt(),
                "roles and accounts encrypted with an older secret: encrypted again",
            ),
        }
