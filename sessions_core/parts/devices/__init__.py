"""A user's sessions on all devices: list, name, end; and notices of sign-ins elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...access.actions import Action
from ...part import MenuEntry, Part
from .schemas import State

if TYPE_CHECKING:
    from flask import Blueprint

    from ...sessions.flask_session import WalletSession
    from ...sessions.repository import Live, Record
    from ...sign_in.challenges import Signed
    from ...web.session_view import SessionView
    from .views import SignInView

_LIST = "sessions_devices.devices"


class Devices(Part):
    """The list of a user's sessions: name them, end them, hear of new ones."""

    libraries = {"ua_parser": "ua-parser>=1.0.1"}
    actions = {
        "session.revoke": Action("End the session {handle}.", back=_LIST),
        "session.revoke_others": Action(
            "End all other sessions of this account and of those linked to it.", back=_LIST
        ),
        "session.revoke_all": Action(
            "Sign out everywhere: end every session of this account and of those linked to it.", back=_LIST
        ),
    }
    redis_keys = {"{tag}:news": "the account's latest sign-ins, encrypted one by one, for its other sessions"}
    state = State
    menu = (MenuEntry("Devices", _LIST, below=("sessions_devices.others", "sessions_devices.everywhere"), order=20),)
    slots = {
        "skip_links": "sessions/_elsewhere_skip_link.html",
        "banner": "sessions/_elsewhere.html",
        "account_links": "sessions/_devices_link.html",
    }

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the pages and the JSON service."""
        from . import pages

        return pages.pages, pages.api

    def warm(self) -> None:
        """Compile the patterns of user agents."""
        from . import user_agent

        user_agent.warm()

    def describe_agent(self, agent: str) -> str:
        """Return browser and system, such as "Firefox on Linux"."""
        from . import user_agent

        return user_agent.describe(agent)

    def describe_session(self, session: Live) -> SessionView:
        """Return the session with where it was last used from."""
        from .views import DeviceView

        return DeviceView(session, self.services)

    def elsewhere(self, view: SessionView) -> tuple[SignInView, ...]:
        """Return the sign-ins elsewhere that the user of a session has not said they know of, newest first."""
        from .views import elsewhere_of

        return elsewhere_of(view)

    def session_state(self, view: SessionView) -> Mapping[str, Any]:
        """Return the sign-ins elsewhere."""
        return {"sign_ins_elsewhere": [each.as_answer() for each in self.elsewhere(view)]}

    def on_sign_in(self, signed: Signed, record: Record, cookies: bool) -> None:
        """Keep where the user signed in."""
        from ...web import request_client
        from .clients import note_client

        if not record.created_at:  # else the session goes on, and a change of place is an event (`on_use`)
            note_client(record, request_client.current())

    def on_use(self, session: WalletSession) -> None:
        """Note that a session goes on from elsewhere."""
        from . import clients

        clients.follow(self.services, session)
