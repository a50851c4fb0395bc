"""A user's sessions on all devices: list, name, end; and notices of sign-ins elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...access.actions import Action
from ...access.policy import OWN_SESSIONS
from ...errors import _
from ...part import MenuEntry, Part
from ...storage.encryption import KeyRing
from .events import ClientChanged, SessionNamed
from .known_browsers import DOUBT, KnownBrowsers
from .recent_sign_ins import DEVICE, SIGN_INS, RecentSignIns
from .schemas import State

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from ...sessions.flask_session import WalletSession
    from ...sessions.record import LoadedSession, SessionRecord
    from ...sign_in.challenges import Signed
    from ...web.session_view import SessionView
    from .views import SignInView

_LIST = "sessions_devices.devices"
_WORDS = "sessions/_devices_action_words.html"


def own_device(values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the name of the user's own device that an action signs out, whatever account the request names."""
    from ...web.pages import own_session
    from .views import signed_name

    return {"device": signed_name(map(str, own_session().user.accounts), values["handle"])}


def device_of_account(values: Mapping[str, str]) -> Mapping[str, str]:
    """Return the name of the device of an account that an administrator's action signs out."""
    from .views import signed_name

    return {"device": signed_name((values["account"],), values["handle"])}


class Devices(Part):
    """The list of a user's sessions: name them, end them, be told of new ones."""

    libraries = {"ua_parser": "ua-parser>=1.0.1"}
    account_keys = (SIGN_INS, DOUBT)
    actions = {
        "session.revoke": Action(
            _("Sign out {device} ({handle:.9})."), _WORDS, _LIST, facts=own_device, recheck=False, danger=True
        ),
        "session.revoke_others": Action(
            _("Sign out all other devices of this account and of those linked to it."), _WORDS, _LIST, danger=True
        ),
        "session.revoke_all": Action(
            _("Sign out everywhere: all devices of this account and of those linked to it."),
            _WORDS,
            _LIST,
            danger=True,
        ),
    }
    redis_keys = {
        "{tag}:news": "string: the account's latest eight sign-ins from new browsers beside other sessions, each "
        "encrypted by itself",
        "{tag}:doubt": "string: when the user last doubted a sign-in; browsers known from before are new again",
    }
    state = State
    menu = (
        MenuEntry(_("Devices"), _LIST, below=("sessions_devices.others", "sessions_devices.everywhere"), order=20),
    )
    events = (SessionNamed, ClientChanged)
    slots = {
        "confirm_facts": "sessions/_devices_confirm_facts.html",
        "activity_words": "sessions/_activity_devices.html",
        "skip_links": "sessions/_elsewhere_skip_link.html",
        "banner": "sessions/_elsewhere.html",
        "account_links": "sessions/_devices_link.html",
    }

    recent_sign_ins: RecentSignIns
    known_browsers: KnownBrowsers

    def setup(self, app: Flask) -> None:
        """Make the services that tell sessions of each other's sign-ins, and know browsers again; let templates name
        devices in the language of the request.
        """
        from .user_agent import device_name

        app.jinja_env.filters["device_name"] = device_name
        services = self.services
        self.recent_sign_ins = RecentSignIns(services.keys)
        ring = KeyRing(services.settings.secrets, "sessions_core known browsers 1")
        self.known_browsers = KnownBrowsers(ring, services.store, services.repository, services.connection)

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

    def describe_session(self, session: LoadedSession) -> SessionView:
        """Return the session with where it was last used from."""
        from .views import DeviceView

        return DeviceView(session, self.services)

    def elsewhere(self, view: SessionView) -> tuple[SignInView, ...]:
        """Return the sign-ins to the account in the last day, after that of this session, that the user has not
        confirmed; newest first, from the latest eight. A session with a scope gets none.
        """
        from .views import SignInView

        if not view.may(OWN_SESSIONS).allowed:
            return ()
        recognised = DEVICE.of(view.live.record).recognised
        known = self.recent_sign_ins.elsewhere(view.live)
        return tuple(SignInView(each) for each in known if each.handle not in recognised)

    def session_state(self, view: SessionView) -> Mapping[str, Any]:
        """Return the sign-ins elsewhere."""
        return {"sign_ins_elsewhere": [each.as_answer() for each in self.elsewhere(view)]}

    def on_sign_in(self, signed: Signed, record: SessionRecord, cookies: bool) -> None:
        """Keep where the user signed in, and whether the browser is known; it is known from now on."""
        from . import clients

        if not record.created_at:  # else the session goes on, and a change of place is an event (`on_use`)
            clients.note_sign_in(self.services, self.known_browsers, record, cookies)

    def on_use(self, session: WalletSession) -> None:
        """Note a session's new place or device. Looked at as rarely as activity is written."""
        live = session.account_live
        if live is None or not live.kept_alive:
            return
        from . import clients

        clients.follow(self.services, session, live)
