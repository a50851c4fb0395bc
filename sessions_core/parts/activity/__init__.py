"""What happened to an account: a log that its user and administrators can read and download."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint

from ...part import MenuEntry, Part


class Activity(Part):
    """The log of what happened to an account, and of the whole site."""

    uses = ("roles",)
    menu = (MenuEntry("Activity", "sessions.activity", below=("sessions.activity",), order=30),)
    slots = {"account_links": "sessions/_activity_link.html", "admin": "sessions/_site_activity_link.html"}

    def blueprints(self) -> Sequence[Blueprint]:
        """Return the templates, and where there are administrators the pages about the whole site."""
        templates = Blueprint("sessions_activity", __name__, template_folder="templates")
        if "roles" not in self.services.parts:
            return (templates,)
        from . import admin

        return (templates, admin.pages)
