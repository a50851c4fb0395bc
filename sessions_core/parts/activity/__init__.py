"""The activity of an account: a log that its user and administrators can read and download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...errors import _
from ...part import MenuEntry, Part
from .options import ActivitySettings

if TYPE_CHECKING:
    import click
    from flask import Blueprint, Flask

    from ...events import Event
    from .activity_log import ActivityLog


class Activity(Part):
    """The activity log of each account, and of the whole site."""

    uses = ("command_line", "devices", "roles")
    settings = ActivitySettings
    menu = (MenuEntry(_("Activity"), "sessions_activity.activity", order=30),)
    slots = {"account_links": "sessions/_activity_link.html", "admin": "sessions/_site_activity_link.html"}
    redis_keys = {
        "{tag}:log": "list: what an account did and what was done to it, encrypted",
        "{tag}:log:routine": "list: what a session may do without end, such as staying alive, encrypted",
        "{tag}:log:refusals": "list: what was refused in the account's name, encrypted",
        "{activity}:budget": "hash: how many entries the logs of all accounts hold, by the day on which they expire",
        "activity": "stream: what all accounts did, encrypted",
        "routine": "stream: what all sessions did without end, encrypted",
        "refusals": "stream: what was refused in the name of all accounts, encrypted",
    }
    after_rotation = "The activity that it encrypted can't be read after that."
    options: ActivitySettings
    log: ActivityLog

    def setup(self, app: Flask) -> None:
        """Make the log."""
        from ...storage.encryption import KeyRing
        from .activity_log import ActivityLog

        settings = self.services.settings
        ring = KeyRing(settings.secrets, "sessions_core activity 1")
        self.log = ActivityLog(self.services.connection, ring, settings.redis_prefix, self.options)

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the pages of a user's own activity, and those of the whole site where there are administrators."""
        from . import pages

        if "roles" not in self.services.parts:
            return (pages.activity_pages,)
        from . import admin

        return (pages.activity_pages, admin.blueprint(self.services.settings.url_prefixes.get("roles", "/admin")))

    def commands(self) -> Sequence[click.Command]:
        """Return `flask sessions events`, where there is a command line."""
        if "command_line" not in self.services.parts:
            return ()
        from .commands import sessions

        return (sessions,)

    def on_event(self, event: Event) -> None:
        """Write the event to the log, with the client of the request."""
        if not getattr(event, "only_logged", False):  # an event of an app need not be a subclass of ours
            from ...web import request_client

            self.log.note(event, request_client.current())
