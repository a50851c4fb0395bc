"""The activity of the whole site, for administrators: below the pages of the part that gives roles."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from ...web.guards import fresh_required, requires
from ..roles import OPEN
from .pages import add_downloads, as_csv, as_json, log, page_of_entries

pages = Blueprint("sessions_activity_admin", __name__, url_prefix="/admin")


@fresh_required(*OPEN)
@requires(role="admin")
def activity() -> ResponseReturnValue:
    """Show the activity of the site, newest first."""
    return page_of_entries("sessions/admin_activity.html", log().site, account_page="sessions_roles.admin_account")


@fresh_required(*OPEN)
@requires(role="admin")
def activity_csv() -> ResponseReturnValue:
    """Download all that is kept of the site, as CSV."""
    return as_csv(log().iterate(None), "site-activity")


@fresh_required(*OPEN)
@requires(role="admin")
def activity_json() -> ResponseReturnValue:
    """Download all that is kept of the site, as JSON."""
    return as_json(log().iterate(None), "site-activity")


def blueprint(administration: str) -> Blueprint:
    """Return the pages below the URL of the administration."""
    made = Blueprint("sessions_activity_admin", __name__, url_prefix=f"{administration}/activity")
    made.get("")(activity)
    add_downloads(made, csv=activity_csv, json=activity_json)
    return made
