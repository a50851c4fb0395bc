"""Live updates: a WebSocket that tells open tabs of the end of their session, and of changes to their account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from flask import url_for

from ...part import Part
from .errors import LiveUpdatesUnavailable
from .options import LiveUpdateSettings
from .schemas import State

if TYPE_CHECKING:
    from flask import Blueprint, Flask

    from ...events import Event
    from ...web.session_view import SessionView
    from .announcements import Announcements
    from .hub import Hub
    from .seats import Seats


class LiveUpdates(Part):
    """Tells open tabs at once what happened to their session and their account."""

    uses = ("devices", "linked_wallets", "roles")  # whose changes the notice names in words
    libraries = {"simple_websocket": "simple-websocket>=1.1"}
    settings = LiveUpdateSettings
    errors = (LiveUpdatesUnavailable,)
    state = State
    redis_keys = {"live:<handle>": "zset: the open connections of a session, by when each must be heard of again"}
    slots = {
        "activity_words": "sessions/_activity_live_updates.html",
        "head": "sessions/_live_updates_script.html",
        "modules": "sessions/_live_updates_modules.html",
        "banner": "sessions/_live_updates.html",
    }
    options: LiveUpdateSettings
    hub: Hub
    seats: Seats
    announcements: Announcements

    def setup(self, app: Flask) -> None:
        """Make what listens to Redis, and what counts connections. No thread starts before the first connection."""
        from .announcements import Announcements
        from .hub import Hub
        from .seats import Seats

        services = self.services
        prefix = services.settings.redis_prefix
        channel = f"{prefix}live"
        self.hub = Hub(services.connection, services.repository.channel, channel)
        self.seats = Seats(services.connection, prefix)
        self.announcements = Announcements(services.connection, channel)

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the route of the WebSocket."""
        from .routes import events

        return (events,)

    def stop(self) -> None:
        """End all connections and all threads: for a server that is about to end, and for tests."""
        self.hub.stop()
        self.announcements.finish()

    def events_path(self) -> str:
        """Return the path of the WebSocket. `url_for` names scheme and host too, which a proxy may have changed."""
        return urlsplit(url_for("sessions_live_updates.listen")).path

    def session_state(self, view: SessionView) -> Mapping[str, Any]:
        """Return a digest of each thing that tabs show of the account: one that differs has changed."""
        from .account_state import state_of

        live = view.live
        rights = self.services.privileges(live.record.account, live.account_values, view.account_status)
        return {"live_state": state_of(live, rights)}

    def on_event(self, event: Event) -> None:
        """Tell the connections of an account that something happened to it."""
        from .announcements import accounts_of

        if accounts := accounts_of(event):
            self.announcements.publish(accounts)
