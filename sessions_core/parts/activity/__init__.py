"""What happened to an account: a log that its user and administrators can read and download."""

from __future__ import annotations

from ...part import MenuEntry, Part


class Activity(Part):
    """The log of what happened to an account, and of the whole site."""

    menu = (MenuEntry("Activity", "sessions.activity", below=("sessions.activity",), order=30),)
    slots = {"account_links": "sessions/_activity_link.html", "admin": "sessions/_site_activity_link.html"}
