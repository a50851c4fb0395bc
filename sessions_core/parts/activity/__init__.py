"""What happened to an account: a log that its user and administrators can read and download."""

from __future__ import annotations

from ...part import Part


class Activity(Part):
    """The log of what happened to an account, and of the whole site."""
