"""What happened on the whole site, for administrators."""

from __future__ import annotations

from flask import Blueprint
from flask.typing import ResponseReturnValue

from ...web.guards import fresh_required, requires
from ...web.services import services
from ..roles import OPEN
from .pages import as_csv, as_json, page_of_entries

pages = Blueprint("sessions_activity_admin", __name__, url_prefix="/admin")


@pages.get("/activity")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_activity() -> ResponseReturnValue:
    """Show what happened on the site, newest first."""
    return page_of_entries("sessions/admin_activity.html", services().audit.site)


@pages.get("/activity.csv")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_activity_csv() -> ResponseReturnValue:
    """Download all that is kept of the site, as CSV."""
    return as_csv(services().audit.iterate(None), "site-activity")


@pages.get("/activity.json")
@fresh_required(*OPEN)
@requires(role="admin")
def admin_activity_json() -> ResponseReturnValue:
    """Download all that is kept of the site, as JSON."""
    return as_json(services().audit.iterate(None), "site-activity")
